namespace SoftSgx.Images;

/// <summary>Kinds of files that <see cref="ImageReader"/> knows.</summary>
public enum ImageKind
{
    /// <summary>None that is known.</summary>
    Unknown,

    /// <summary>Enclave of the Intel SDK, ELF.</summary>
    IntelSdkElf,

    /// <summary>Enclave of the Intel SDK, PE.</summary>
    IntelSdkPe,

    /// <summary>Enclave of Open Enclave, ELF.</summary>
    OpenEnclave,

    /// <summary>Enclave of the Linux kernel's selftests, ELF.</summary>
    KernelSelftest,

    /// <summary>Manifest of Gramine.</summary>
    GramineManifest,

    /// <summary>SGXS stream.</summary>
    Sgxs,

    /// <summary>SIGSTRUCT, bare or with something behind it.</summary>
    SigStruct,

    /// <summary>EINITTOKEN.</summary>
    EInitToken,

    /// <summary>REPORT.</summary>
    Report,

    /// <summary>TARGETINFO.</summary>
    TargetInfo,

    /// <summary>A quote.</summary>
    Quote,
}
