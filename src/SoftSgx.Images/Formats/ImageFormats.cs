namespace SoftSgx.Images;

/// <summary>A kind of file: what it is called, and how it is read when the user names it.</summary>
/// <param name="Kind">The kind.</param>
/// <param name="Name">Its name on the command line.</param>
/// <param name="Description">What it is, in a few words.</param>
public sealed record ImageFormat(ImageKind Kind, string Name, string Description)
{
    /// <summary>All kinds; the one table that the reader, the command line and its help go by.</summary>
    public static IReadOnlyList<ImageFormat> All { get; } =
    [
        new(ImageKind.IntelSdkElf, "sdk", "enclave of the Intel SDK, ELF"),
        new(ImageKind.IntelSdkPe, "sdk-pe", "enclave of the Intel SDK, PE"),
        new(ImageKind.OpenEnclave, "openenclave", "image of the Open Enclave SDK"),
        new(ImageKind.KernelSelftest, "selftest", "enclave laid out as the Linux kernel's selftests do"),
        new(ImageKind.GramineManifest, "gramine", "manifest of Gramine"),
        new(ImageKind.Sgxs, "sgxs", "SGXS stream"),
        new(ImageKind.SigStruct, "sigstruct", "SIGSTRUCT, such as Gramine's .sig files"),
        new(ImageKind.EInitToken, "einittoken", "EINITTOKEN (304 bytes)"),
        new(ImageKind.Report, "report", "REPORT (432 bytes)"),
        new(ImageKind.TargetInfo, "targetinfo", "TARGETINFO (512 bytes)"),
        new(ImageKind.Quote, "quote", "quote, versions 1 to 5"),
    ];
}
