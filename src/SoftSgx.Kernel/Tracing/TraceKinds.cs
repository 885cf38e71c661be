namespace SoftSgx.Kernel.Tracing;

/// <summary>The kinds of events.</summary>
[Flags]
public enum TraceKinds
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>A system call on a device or on enclave memory.</summary>
    Call = 1 << 0,

    /// <summary>A leaf of ENCLS, executed by the kernel.</summary>
    Encls = 1 << 1,

    /// <summary>A leaf of ENCLU, executed by the program.</summary>
    Enclu = 1 << 2,

    /// <summary>An asynchronous exit.</summary>
    Exit = 1 << 3,

    /// <summary>A signal or an exception report of the vDSO that the program gets.</summary>
    Signal = 1 << 4,

    /// <summary>A page fault in enclave memory that the kernel handled.</summary>
    Fault = 1 << 5,

    /// <summary>A page that was loaded or evicted, and what that takes.</summary>
    Paging = 1 << 6,

    /// <summary>The end of the program.</summary>
    Process = 1 << 7,

    /// <summary>All kinds.</summary>
    All = Call | Encls | Enclu | Exit | Signal | Fault | Paging | Process,
}
