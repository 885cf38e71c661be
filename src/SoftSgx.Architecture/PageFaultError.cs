namespace SoftSgx.Architecture;

/// <summary>
/// Error code of a page fault.
/// SDM vol. 3A, "Page-fault exceptions" (figure of the page-fault error code).
/// </summary>
[Flags]
public enum PageFaultError : uint
{
    /// <summary>A supervisor read of a page that is not present.</summary>
    None = 0,

    /// <summary>P: the page is present, the access was not permitted.</summary>
    Present = 1u << 0,

    /// <summary>W/R: the access was a write.</summary>
    Write = 1u << 1,

    /// <summary>U/S: the access was made in user mode.</summary>
    User = 1u << 2,

    /// <summary>RSVD: a reserved bit was set in a paging-structure entry.</summary>
    Reserved = 1u << 3,

    /// <summary>I/D: the access was an instruction fetch.</summary>
    Instruction = 1u << 4,

    /// <summary>PK: a protection key forbade it.</summary>
    ProtectionKey = 1u << 5,

    /// <summary>SGX: the page tables permitted it, the EPCM did not.</summary>
    Sgx = 1u << 15,
}
