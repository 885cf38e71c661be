using SoftSgx.Architecture;
using SoftSgx.Images.Tests.Writers;
using SoftSgx.Tests;

namespace SoftSgx.Images.Tests.Review;

public sealed class ImageReviewTests
{
    private static readonly DateOnly s_today = new(2026, 1, 1);

    private static string[] Codes(SigStruct signature) =>
        [.. ImageReview.OfSignature(signature, s_today).Select(static warning => warning.Code)];

    [Fact]
    public void A_signature_of_nobody_is_invalid_and_nothing_else() =>
        Assert.Equal([ReviewWarning.InvalidSignature], Codes(Signatures.Plain()));

    [Fact]
    public void Each_oddity_has_its_warning()
    {
        SigStruct value = Signatures.Plain();
        value.AttributeMask.Flags &= ~AttributeFlags.DEBUG;
        value.Attributes.Flags |= AttributeFlags.PROVISIONKEY | AttributeFlags.EINITTOKEN_KEY;
        value.IsvSvn = 0;
        value.Date = 0x20260102;
        value.Vendor = 1;
        Assert.Equal(
            [
                ReviewWarning.InvalidSignature, ReviewWarning.Malformed, ReviewWarning.DebugAllowed, ReviewWarning.ProvisionKey,
                ReviewWarning.EInitTokenKey,
                ReviewWarning.SvnZero, ReviewWarning.OddDate,
            ],
            Codes(value));
        foreach (uint date in new uint[] { 0, 0x20261399, 0x19991231 })
        {
            value.Date = date;
            Assert.Contains(ReviewWarning.OddDate, Codes(value));
        }
    }

    [Fact]
    public void Wrong_quotients_are_told_from_a_wrong_signature()
    {
        string file = Directory.GetFiles(Path.Combine(SharedDirectory.Find(), "vectors", "sigstruct")).Order().First();
        SigStruct value = ImageReader.Read(file).Signature!.Value;
        value.Q1.AsSpan()[0] ^= 1;
        Assert.Equal(SignatureState.WrongQuotients, SignatureReview.Of(in value));
        value.Signature.AsSpan()[0] ^= 1;
        Assert.Equal(SignatureState.Invalid, SignatureReview.Of(in value));
    }

    [Fact]
    public void Writable_code_and_code_that_is_not_measured_are_found()
    {
        byte[] stream = new SgxsWriter(0x8000)
            .Page(0, 0x205, SdkWriter.Pattern(4096, 1)).Page(0x1000, 0x207, SdkWriter.Pattern(4096, 1))
            .Page(0x2000, 0x205, SdkWriter.Pattern(4096, 1), 0x7fff).Build();
        Assert.Equal(
            [ReviewWarning.WritableExecutable, ReviewWarning.UnmeasuredExecutable],
            ImageReview.Of(ImageFiles.Read(stream), s_today).Select(static warning => warning.Code));
    }

    [Fact]
    public void The_samples_key_is_known_by_its_MRSIGNER()
    {
        Hash256 signer = Hash256.From(Convert.FromHexString("83d719e77deaca1470f6baf62a4d774303c899db69020f9c70ee1dfc08c7ce9e"));
        Assert.Contains("samples", KnownTestKeys.Owner(signer), StringComparison.Ordinal);
        Assert.Null(KnownTestKeys.Owner(default));
    }
}
