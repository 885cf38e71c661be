using System.Collections.Immutable;

namespace SoftSgx.Architecture;

/// <summary>The instruction that a leaf function belongs to.</summary>
public enum LeafKind : byte
{
    /// <summary>Supervisor leaf.</summary>
    ENCLS,

    /// <summary>User leaf.</summary>
    ENCLU,

    /// <summary>Virtualisation leaf.</summary>
    ENCLV,
}

/// <summary>The feature that enumerates a leaf function in CPUID leaf 0x12, sub-leaf 0, EAX.</summary>
public enum LeafFeature : byte
{
    /// <summary>Bit 0: the base set.</summary>
    SGX1,

    /// <summary>Bit 1: dynamic memory management.</summary>
    SGX2,

    /// <summary>Bit 5: ENCLV leaves for virtual machines that oversubscribe the EPC.</summary>
    ENCLV,

    /// <summary>Bit 6: ENCLS leaves that report conflicts as errors.</summary>
    OSS,

    /// <summary>Bit 7: EVERIFYREPORT2.</summary>
    EVERIFYREPORT2,

    /// <summary>Bit 10: EUPDATESVN.</summary>
    EUPDATESVN,

    /// <summary>Bit 11: EDECCSSA.</summary>
    EDECCSSA,
}

/// <summary>What SoftSGX does with a leaf function on a processor that enumerates it.</summary>
public enum LeafSupport : byte
{
    /// <summary>It is there.</summary>
    Implemented,

    /// <summary>It faults as on a processor without it.</summary>
    NotSupported,
}

/// <summary>One leaf function: what dispatch, traces and documents say of it.</summary>
/// <param name="Kind">The instruction.</param>
/// <param name="Number">The value of EAX.</param>
/// <param name="Name">Native name.</param>
/// <param name="Feature">What enumerates it.</param>
/// <param name="Rbx">Meaning of RBX, or an empty string.</param>
/// <param name="Rcx">Meaning of RCX, or an empty string.</param>
/// <param name="Rdx">Meaning of RDX, or an empty string.</param>
public sealed record LeafInfo(LeafKind Kind, uint Number, string Name, LeafFeature Feature, string Rbx, string Rcx, string Rdx)
{
    /// <summary>Whether SoftSGX has it.</summary>
    public LeafSupport Support { get; init; } = LeafSupport.Implemented;

    /// <summary>Why it is not supported; an empty string for what is.</summary>
    public string Reason { get; init; } = "";

    /// <summary>Where the leaf's rule stands.</summary>
    public required string Source { get; init; }
}

/// <summary>
/// Every leaf function of the architecture with number, name, operands, what enumerates it and whether it is supported:
/// the source of truth.
/// SDM vol. 3D, instruction tables of the introduction and the reference pages.
/// </summary>
public static class LeafTable
{
    private const string SystemLeaves = "SDM vol. 3D, Intel SGX system leaf function reference";
    private const string UserLeaves = "SDM vol. 3D, Intel SGX user leaf function reference";
    private const string VirtualizationLeaves = "SDM vol. 3D, Intel SGX virtualization leaf function reference";
    private const string MicrocodeUpdates = "Runtime Microcode Updates with Intel SGX (Intel document 648682), EUPDATESVN";
    private const string NoVmx = "it serves virtual machines that oversubscribe the EPC, and this processor has no VMX";
    private const string NoTrustDomains = "it verifies reports of TDX trust domains, and this processor has no TDX";

    /// <summary>All leaves: ENCLS, ENCLU, then ENCLV, each by rising number.</summary>
    public static ImmutableArray<LeafInfo> All { get; } =
    [
        Encls(EnclsLeaf.ECREATE, LeafFeature.SGX1, "PAGEINFO", "EPC page"),
        Encls(EnclsLeaf.EADD, LeafFeature.SGX1, "PAGEINFO", "EPC page"),
        Encls(EnclsLeaf.EINIT, LeafFeature.SGX1, "SIGSTRUCT", "SECS", "EINITTOKEN"),
        Encls(EnclsLeaf.EREMOVE, LeafFeature.SGX1, "", "EPC page"),
        Encls(EnclsLeaf.EDBGRD, LeafFeature.SGX1, "result", "EPC address"),
        Encls(EnclsLeaf.EDBGWR, LeafFeature.SGX1, "data", "EPC address"),
        Encls(EnclsLeaf.EEXTEND, LeafFeature.SGX1, "SECS", "256 bytes in the EPC"),
        Encls(EnclsLeaf.ELDB, LeafFeature.SGX1, "PAGEINFO", "EPC page", "version-array slot"),
        Encls(EnclsLeaf.ELDU, LeafFeature.SGX1, "PAGEINFO", "EPC page", "version-array slot"),
        Encls(EnclsLeaf.EBLOCK, LeafFeature.SGX1, "", "EPC page"),
        Encls(EnclsLeaf.EPA, LeafFeature.SGX1, "PT_VA", "EPC page"),
        Encls(EnclsLeaf.EWB, LeafFeature.SGX1, "PAGEINFO", "EPC page", "version-array slot"),
        Encls(EnclsLeaf.ETRACK, LeafFeature.SGX1, "", "SECS"),
        Encls(EnclsLeaf.EAUG, LeafFeature.SGX2, "PAGEINFO", "EPC page"),
        Encls(EnclsLeaf.EMODPR, LeafFeature.SGX2, "SECINFO", "EPC page"),
        Encls(EnclsLeaf.EMODT, LeafFeature.SGX2, "SECINFO", "EPC page"),
        Encls(EnclsLeaf.ERDINFO, LeafFeature.OSS, "RDINFO", "EPC page"),
        Encls(EnclsLeaf.ETRACKC, LeafFeature.OSS, "", "EPC page"),
        Encls(EnclsLeaf.ELDBC, LeafFeature.OSS, "PAGEINFO", "EPC page", "version-array slot"),
        Encls(EnclsLeaf.ELDUC, LeafFeature.OSS, "PAGEINFO", "EPC page", "version-array slot"),
        Encls(EnclsLeaf.EUPDATESVN, LeafFeature.EUPDATESVN, "", "") with { Source = MicrocodeUpdates },

        Enclu(EncluLeaf.EREPORT, LeafFeature.SGX1, "TARGETINFO", "REPORTDATA", "REPORT"),
        Enclu(EncluLeaf.EGETKEY, LeafFeature.SGX1, "KEYREQUEST", "key"),
        Enclu(EncluLeaf.EENTER, LeafFeature.SGX1, "TCS", "AEP"),
        Enclu(EncluLeaf.ERESUME, LeafFeature.SGX1, "TCS", "AEP"),
        Enclu(EncluLeaf.EEXIT, LeafFeature.SGX1, "target", "AEP (out)"),
        Enclu(EncluLeaf.EACCEPT, LeafFeature.SGX2, "SECINFO", "enclave page"),
        Enclu(EncluLeaf.EMODPE, LeafFeature.SGX2, "SECINFO", "enclave page"),
        Enclu(EncluLeaf.EACCEPTCOPY, LeafFeature.SGX2, "SECINFO", "destination page", "source page"),
        Unsupported(Enclu(EncluLeaf.EVERIFYREPORT2, LeafFeature.EVERIFYREPORT2, "REPORTMACSTRUCT", ""), NoTrustDomains),
        Enclu(EncluLeaf.EDECCSSA, LeafFeature.EDECCSSA, "", ""),

        Unsupported(Enclv(EnclvLeaf.EDECVIRTCHILD, "EPC page", "SECS"), NoVmx),
        Unsupported(Enclv(EnclvLeaf.EINCVIRTCHILD, "EPC page", "SECS"), NoVmx),
        Unsupported(Enclv(EnclvLeaf.ESETCONTEXT, "", "SECS", "context"), NoVmx),
    ];

    private static readonly LeafInfo?[][] s_byNumber = [ByNumber(LeafKind.ENCLS), ByNumber(LeafKind.ENCLU), ByNumber(LeafKind.ENCLV)];

    /// <summary>The leaf of <paramref name="kind"/> with that number, or null if the architecture defines none.</summary>
    public static LeafInfo? Find(LeafKind kind, uint number)
    {
        LeafInfo?[] leaves = s_byNumber[(int)kind];
        return number < (uint)leaves.Length ? leaves[number] : null;
    }

    private static LeafInfo?[] ByNumber(LeafKind kind)
    {
        LeafInfo[] leaves = [.. All.Where(leaf => leaf.Kind == kind)];
        LeafInfo?[] table = new LeafInfo?[leaves.Max(leaf => leaf.Number) + 1];
        foreach (LeafInfo leaf in leaves)
        {
            table[leaf.Number] = leaf;
        }

        return table;
    }

    private static LeafInfo Encls(EnclsLeaf leaf, LeafFeature feature, string rbx, string rcx, string rdx = "") =>
        new(LeafKind.ENCLS, (uint)leaf, leaf.ToString(), feature, rbx, rcx, rdx) { Source = $"{SystemLeaves}: {leaf}" };

    private static LeafInfo Enclu(EncluLeaf leaf, LeafFeature feature, string rbx, string rcx, string rdx = "") =>
        new(LeafKind.ENCLU, (uint)leaf, leaf.ToString(), feature, rbx, rcx, rdx) { Source = $"{UserLeaves}: {leaf}" };

    private static LeafInfo Enclv(EnclvLeaf leaf, string rbx, string rcx, string rdx = "") =>
        new(LeafKind.ENCLV, (uint)leaf, leaf.ToString(), LeafFeature.ENCLV, rbx, rcx, rdx) { Source = $"{VirtualizationLeaves}: {leaf}" };

    private static LeafInfo Unsupported(LeafInfo leaf, string reason) =>
        leaf with { Support = LeafSupport.NotSupported, Reason = reason };
}
