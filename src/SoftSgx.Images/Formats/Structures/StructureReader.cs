using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>Reads files that hold one structure of the architecture and nothing else.</summary>
internal static class StructureReader
{
    /// <summary>A SIGSTRUCT; there may be something behind it.</summary>
    internal static EnclaveImage SigStruct(ImageBytes bytes)
    {
        SigStruct value = Structure<SigStruct>(bytes, "the SIGSTRUCT", exactly: false);
        List<string> notes = bytes.Length > Architecture.SigStruct.Size
            ? [$"Behind it stand {bytes.Length - Architecture.SigStruct.Size} bytes more."]
            : [];
        return new EnclaveImage { Format = "SIGSTRUCT", Kind = ImageKind.SigStruct, Signature = value, Notes = notes };
    }

    internal static EnclaveImage EInitToken(ImageBytes bytes)
    {
        EInitToken value = Structure<EInitToken>(bytes, "the EINITTOKEN", exactly: true);
        return new EnclaveImage { Format = "EINITTOKEN", Kind = ImageKind.EInitToken, Facts = [StructureFacts.EInitToken(in value)] };
    }

    internal static EnclaveImage Report(ImageBytes bytes)
    {
        Report value = Structure<Report>(bytes, "the REPORT", exactly: true);
        return new EnclaveImage
        {
            Format = "REPORT",
            Kind = ImageKind.Report,
            Facts = [StructureFacts.ReportBody(in value.Body, "REPORT", 0), StructureFacts.ReportMac(in value)],
            Notes = ["Its MAC can be checked only by its target, on the platform that made it."],
        };
    }

    internal static EnclaveImage TargetInfo(ImageBytes bytes)
    {
        TargetInfo value = Structure<TargetInfo>(bytes, "the TARGETINFO", exactly: true);
        return new EnclaveImage { Format = "TARGETINFO", Kind = ImageKind.TargetInfo, Facts = [StructureFacts.TargetInfo(in value)] };
    }

    /// <summary>
    /// What a file without a magic may be, by its size, its reserved fields (all zero), and the attributes that every enclave has.
    /// </summary>
    internal static ImageKind Guess(ImageBytes bytes)
    {
        switch (bytes.Length)
        {
            case Architecture.EInitToken.Size:
                EInitToken token = Structure<EInitToken>(bytes, "", exactly: true);
                return token.Valid <= 1 && Bytes.IsZero(in token.Reserved1) && Bytes.IsZero(in token.Reserved2)
                    && Bytes.IsZero(in token.Reserved3) && Bytes.IsZero(in token.Reserved4)
                    ? ImageKind.EInitToken
                    : ImageKind.Unknown;
            case Architecture.Report.Size:
                ReportBody body = Structure<Report>(bytes, "", exactly: true).Body;
                return IsPlausible(body) ? ImageKind.Report : ImageKind.Unknown;
            case Architecture.TargetInfo.Size:
                TargetInfo target = Structure<TargetInfo>(bytes, "", exactly: true);
                return Bytes.IsZero(in target.Reserved1) && Bytes.IsZero(in target.Reserved2) && Bytes.IsZero(in target.Reserved3)
                    && IsPlausible(target.Attributes)
                    ? ImageKind.TargetInfo
                    : ImageKind.Unknown;
            default:
                return ImageKind.Unknown;
        }
    }

    internal static bool IsPlausible(in ReportBody body) =>
        Bytes.IsZero(in body.Reserved1) && Bytes.IsZero(in body.Reserved2) && Bytes.IsZero(in body.Reserved3)
        && Bytes.IsZero(in body.Reserved4) && IsPlausible(body.Attributes);

    // Every enclave has x87 and SSE.
    private static bool IsPlausible(SgxAttributes attributes) =>
        (attributes.Xfrm & (ulong)XFeatureMask.Legacy) == (ulong)XFeatureMask.Legacy;

    private static T Structure<T>(ImageBytes bytes, string what, bool exactly)
        where T : unmanaged
    {
        ulong size = (ulong)Unsafe.SizeOf<T>();
        if (exactly && bytes.Length > size)
        {
            throw new ImageException((long)size, $"{what} has {size} bytes, and the file {bytes.Length}");
        }

        return MemoryMarshal.Read<T>(bytes.Span(0, size, what));
    }
}
