using System.Globalization;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Images;

/// <summary>What a reviewer of an enclave would want to be told.</summary>
public static class ImageReview
{
    // Before this there was no SGX.
    private static readonly DateOnly s_firstDate = new(2013, 1, 1);

    /// <summary>The warnings of an image; those about pages need all of the layout's runs, which are enumerated once.</summary>
    /// <param name="image">The image.</param>
    /// <param name="today">The day of the review; later signatures are odd.</param>
    /// <exception cref="ImageException">The file of a layout that is read as it is enumerated is not well-formed.</exception>
    public static IReadOnlyList<ReviewWarning> Of(EnclaveImage image, DateOnly today)
    {
        PageReview pages = new();
        foreach (PageRun run in image.Layout?.Runs ?? [])
        {
            pages.Add(run);
        }

        return Of(image, today, pages);
    }

    /// <summary>The warnings of an image whose runs were given to a <see cref="PageReview"/> already.</summary>
    /// <param name="image">The image.</param>
    /// <param name="today">The day of the review.</param>
    /// <param name="pages">What its pages gave.</param>
    public static IReadOnlyList<ReviewWarning> Of(EnclaveImage image, DateOnly today, PageReview pages)
    {
        List<ReviewWarning> warnings = [.. image.FormatWarnings];
        if (image.Signature is { } signature)
        {
            warnings.AddRange(OfSignature(signature, today));
        }
        else if (image.Layout is not null && image.Kind is not ImageKind.Sgxs and not ImageKind.KernelSelftest)
        {
            warnings.Add(new ReviewWarning(ReviewWarning.Unsigned, "the file has no signature"));
        }

        warnings.AddRange(pages.Warnings());
        return warnings;
    }

    /// <summary>The warnings of a signature alone.</summary>
    /// <param name="signature">The signature.</param>
    /// <param name="today">The day of the review.</param>
    public static IEnumerable<ReviewWarning> OfSignature(SigStruct signature, DateOnly today)
    {
        SignatureState state = SignatureReview.Of(in signature);
        if (state == SignatureState.Invalid)
        {
            yield return new ReviewWarning(ReviewWarning.InvalidSignature, "the signature is not valid");
        }
        else if (state == SignatureState.WrongQuotients)
        {
            yield return new ReviewWarning(ReviewWarning.WrongQuotients, "the signature is right, but q1 or q2 is not: EINIT refuses it");
        }

        if (Malformation(in signature) is { } wrong)
        {
            yield return new ReviewWarning(ReviewWarning.Malformed, $"{wrong}: EINIT refuses it");
        }

        if (KnownTestKeys.Owner(EnclaveSignature.MrSigner(in signature)) is { } owner)
        {
            yield return new ReviewWarning(ReviewWarning.TestKey, $"everybody can sign as its signer: the key is that of {owner}");
        }

        AttributeFlags flags = signature.Attributes.Flags;
        AttributeFlags mask = signature.AttributeMask.Flags;
        if (!mask.HasFlag(AttributeFlags.DEBUG))
        {
            yield return new ReviewWarning(
                ReviewWarning.DebugAllowed,
                "ATTRIBUTEMASK leaves DEBUG open: the enclave may be run in debug mode, where its memory can be read and written");
        }
        else if (flags.HasFlag(AttributeFlags.DEBUG))
        {
            yield return new ReviewWarning(
                ReviewWarning.DebugAllowed, "it is a debug enclave: its memory can be read and written from outside");
        }

        if (Asks(AttributeFlags.PROVISIONKEY))
        {
            yield return new ReviewWarning(
                ReviewWarning.ProvisionKey, "it asks for PROVISIONKEY: it can tell one machine from another, across owners");
        }

        if (Asks(AttributeFlags.EINITTOKEN_KEY))
        {
            yield return new ReviewWarning(ReviewWarning.EInitTokenKey, "it asks for EINITTOKEN_KEY: it is a launch enclave");
        }

        if (signature.IsvSvn == 0)
        {
            yield return new ReviewWarning(
                ReviewWarning.SvnZero,
                "ISVSVN is 0: no version before it can be told from it, by sealing keys or by who checks its reports");
        }

        if (signature.Date == 0)
        {
            yield return new ReviewWarning(ReviewWarning.OddDate, "DATE is 0, as builds set it that can be reproduced on another day");
        }
        else if (!StructureFacts.TryDate(signature.Date, out DateOnly date))
        {
            yield return new ReviewWarning(ReviewWarning.OddDate, $"DATE {FactList.Hex(signature.Date)} is no date");
        }
        else if (date < s_firstDate || date > today)
        {
            yield return new ReviewWarning(
                ReviewWarning.OddDate,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"DATE {date:yyyy-MM-dd} lies {(date > today ? "in the future" : "before there was SGX")}"));
        }

        bool Asks(AttributeFlags flag) => flags.HasFlag(flag) && mask.HasFlag(flag);
    }

    // The checks of EINIT that do not need the enclave.
    private static string? Malformation(in SigStruct value) =>
        !Bytes.Of(in value.Header).SequenceEqual(SigStruct.HeaderConstant) ? "HEADER is wrong"
        : !Bytes.Of(in value.Header2).SequenceEqual(SigStruct.Header2Constant) ? "HEADER2 is wrong"
        : value.Vendor is not 0 and not SigStruct.VendorIntel ? "VENDOR is neither 0 nor 0x8086"
        : value.Exponent != SigStruct.RequiredExponent ? "EXPONENT is not 3"
        : !Bytes.IsZero(in value.Reserved1)
            || !Bytes.IsZero(in value.Reserved2)
            || !Bytes.IsZero(in value.Reserved3)
            || !Bytes.IsZero(in value.Reserved4)
            ? "a reserved field is not zero"
            : null;
}
