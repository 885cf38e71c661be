using SoftSgx.Architecture;

namespace SoftSgx.Processor.Model;

/// <summary>
/// One valid entry of the EPCM; a page without one is not valid.
/// SDM vol. 3D, "Enclave page cache map (EPCM)".
/// </summary>
/// <param name="Type">PT.</param>
/// <param name="Permissions">R, W and X.</param>
/// <param name="Address">ENCLAVEADDRESS.</param>
/// <param name="Enclave">The owner; for a SECS the enclave itself, for a version array null.</param>
public sealed record ModelEntry(PageType Type, SecInfoFlags Permissions, ulong Address, ModelEnclave? Enclave)
{
    /// <summary>BLOCKED.</summary>
    public bool Blocked { get; init; }

    /// <summary>PENDING.</summary>
    public bool Pending { get; init; }

    /// <summary>MODIFIED.</summary>
    public bool Modified { get; init; }

    /// <summary>PR.</summary>
    public bool PermissionRestricted { get; init; }

    /// <summary>The enclave's epoch when translations of the page last had to be dropped; null if never.</summary>
    public int? ChangedInEpoch { get; init; }

    /// <summary>True for the page types that belong to an enclave.</summary>
    public bool IsChild => Type is not (PageType.PT_SECS or PageType.PT_VA);

    /// <summary>The entry's flags as a SECINFO would have them.</summary>
    public SecInfoFlags Flags =>
        Permissions
        | (SecInfoFlags)((ulong)Type << 8)
        | (Pending ? SecInfoFlags.PENDING : 0)
        | (Modified ? SecInfoFlags.MODIFIED : 0)
        | (PermissionRestricted ? SecInfoFlags.PR : 0);
}

/// <summary>An enclave: its SECS, wherever that is, and what the processor keeps in it.</summary>
public sealed class ModelEnclave
{
    /// <summary>EID.</summary>
    public required ulong Eid { get; init; }

    /// <summary>The architectural fields of the SECS.</summary>
    public Secs Secs;

    /// <summary>ISVFAMILYID, from SIGSTRUCT.</summary>
    public Bytes16 FamilyId;

    /// <summary>ISVEXTPRODID, from SIGSTRUCT.</summary>
    public Bytes16 ExtProdId;

    /// <summary>Everything measured so far, to be hashed at the end.</summary>
    public List<byte> Measured { get; } = [];

    /// <summary>Number of ETRACKs that succeeded.</summary>
    public int Epoch { get; set; }

    /// <summary>EPC page of the SECS; null while it is swapped out or gone.</summary>
    public int? SecsPage { get; set; }

    /// <summary>ATTRIBUTES.INIT.</summary>
    public bool IsInitialized => (Secs.Attributes.Flags & AttributeFlags.INIT) != 0;
}

/// <summary>A page as EWB wrote it. The model does not encrypt: it keeps what a true copy stands for.</summary>
/// <param name="Version">What EWB put into the version array.</param>
/// <param name="Entry">The EPCM entry.</param>
/// <param name="Eid">EID of the owner; 0 for a SECS and a version array.</param>
/// <param name="Contents">The contents.</param>
public sealed record SealedPage(ulong Version, ModelEntry Entry, ulong Eid, byte[] Contents);

/// <summary>A sealed page as it is handed to ELDU, perhaps changed on the way.</summary>
/// <param name="Original">What EWB wrote.</param>
/// <param name="Intact">Ciphertext, MAC and reserved bytes of the PCMD are those that belong together.</param>
/// <param name="Flags">PCMD.SECINFO.FLAGS.</param>
/// <param name="Address">PAGEINFO.LINADDR.</param>
public sealed record PresentedPage(SealedPage Original, bool Intact, SecInfoFlags Flags, ulong Address);

/// <summary>A logical processor: the CR_ registers of SGX.</summary>
public sealed class ModelLogicalProcessor
{
    /// <summary>The enclave that it is in, or null.</summary>
    public ModelEnclave? Enclave { get; set; }

    /// <summary>CR_TCS_PA.</summary>
    public int TcsPage { get; set; }

    /// <summary>CR_TCS_LA.</summary>
    public ulong TcsAddress { get; set; }

    /// <summary>The enclave's epoch at the entry.</summary>
    public int EntryEpoch { get; set; }

    /// <summary>CR_GPR_PA.</summary>
    public int GprPage { get; set; }

    /// <summary>CR_XSAVE_PAGE_n.</summary>
    public IReadOnlyList<int> XsavePages { get; set; } = [];

    /// <summary>CR_DBGOPTIN.</summary>
    public bool DebugOptIn { get; set; }

    /// <summary>CR_SAVE_FS, base.</summary>
    public ulong SavedFsBase { get; set; }

    /// <summary>CR_SAVE_GS, base.</summary>
    public ulong SavedGsBase { get; set; }

    /// <summary>CR_SAVE_TF.</summary>
    public bool SavedTrapFlag { get; set; }

    /// <summary>IA32_SGXLEPUBKEYHASH.</summary>
    public required Hash256 LePubKeyHash { get; init; }
}

/// <summary>The registers, by number.</summary>
public enum Register
{
    /// <summary>RAX.</summary>
    Rax,

    /// <summary>RBX.</summary>
    Rbx,

    /// <summary>RCX.</summary>
    Rcx,

    /// <summary>RDX.</summary>
    Rdx,

    /// <summary>RSI.</summary>
    Rsi,

    /// <summary>RDI.</summary>
    Rdi,

    /// <summary>RBP.</summary>
    Rbp,

    /// <summary>RSP.</summary>
    Rsp,

    /// <summary>R8; R9 to R15 follow.</summary>
    R8,

    /// <summary>R15.</summary>
    R15 = R8 + 7,

    /// <summary>RIP.</summary>
    Rip,

    /// <summary>RFLAGS.</summary>
    Rflags,

    /// <summary>FS.base.</summary>
    FsBase,

    /// <summary>GS.base.</summary>
    GsBase,

    /// <summary>How many there are.</summary>
    Count,
}

/// <summary>Register values.</summary>
public sealed class ModelRegisters
{
    /// <summary>All values, by <see cref="Register"/>.</summary>
    public ulong[] Values { get; } = new ulong[(int)Register.Count];

    /// <summary>One value.</summary>
    public ulong this[Register register]
    {
        get => Values[(int)register];
        set => Values[(int)register] = value;
    }
}

/// <summary>Page tables: an address and whether it is written give an EPC page, ordinary memory (null), or a fault.</summary>
public delegate PageFaultError? PageTables(ulong address, bool write, out int? epcPage);
