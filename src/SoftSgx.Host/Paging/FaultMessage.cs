using System.Runtime.InteropServices;

namespace SoftSgx.Host.Paging;

/// <summary>What a userfaultfd tells of a page fault.</summary>
/// <remarks><c>struct uffd_msg</c>, linux/userfaultfd.h: 32 bytes.</remarks>
[StructLayout(LayoutKind.Explicit, Size = 32)]
internal struct FaultMessage
{
    /// <summary><c>UFFD_EVENT_PAGEFAULT</c>; nothing else is asked for.</summary>
    [FieldOffset(0)] internal byte Event;

    /// <summary><c>UFFD_PAGEFAULT_FLAG_*</c>.</summary>
    [FieldOffset(8)] internal ulong Flags;

    /// <summary>The address, to the byte.</summary>
    [FieldOffset(16)] internal ulong Address;

    /// <summary>The thread, by its id in its own process-id namespace.</summary>
    [FieldOffset(24)] internal int Tid;
}
