namespace SoftSgx.Kernel;

/// <summary>
/// What may be done with a page. Three of these are kept apart for each enclave page: what the program's mapping asks, the
/// page's maximum, and what the EPCM allows.
/// The three access bits equal PROT_READ, PROT_WRITE and PROT_EXEC of mmap(2).
/// </summary>
[Flags]
public enum PageProtection : byte
{
    /// <summary>No access.</summary>
    None = 0,

    /// <summary>PROT_READ.</summary>
    Read = 1,

    /// <summary>PROT_WRITE.</summary>
    Write = 2,

    /// <summary>PROT_EXEC.</summary>
    Execute = 4,

    /// <summary>The three access bits.</summary>
    Access = Read | Write | Execute,

    /// <summary>
    /// Only in runs (<see cref="Enclave.NextRun"/>): a page is there that no program reaches: a TCS, or one that waits for EACCEPT. No
    /// access bit comes with it, and no page of the enclave's inode.
    /// </summary>
    Private = 0x40,

    /// <summary>Only in runs (<see cref="Enclave.NextRun"/>): no page is there. No access bit comes with it.</summary>
    Absent = 0x80,
}
