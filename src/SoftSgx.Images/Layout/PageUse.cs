namespace SoftSgx.Images;

/// <summary>What pages of an enclave are for.</summary>
public enum PageUse
{
    /// <summary>Nothing that the format tells.</summary>
    Unknown,

    /// <summary>Code and data of the file.</summary>
    Image,

    /// <summary>Relocations that the enclave applies to itself.</summary>
    Relocations,

    /// <summary>Heap.</summary>
    Heap,

    /// <summary>A thread's stack.</summary>
    Stack,

    /// <summary>Threads' control structures.</summary>
    Tcs,

    /// <summary>A thread's state save area.</summary>
    Ssa,

    /// <summary>A thread's data, thread-local variables among it.</summary>
    ThreadData,

    /// <summary>Memory that the enclave takes for code or data of its own making.</summary>
    ReservedMemory,

    /// <summary>Addresses that stay empty, so that who runs over an end faults.</summary>
    Guard,
}
