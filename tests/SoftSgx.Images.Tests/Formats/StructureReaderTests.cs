using SoftSgx.Architecture;
using SoftSgx.Images.Tests.Writers;
using SoftSgx.Tests;

namespace SoftSgx.Images.Tests.Formats;

public sealed class StructureReaderTests
{
    internal static byte[] ReportBytes()
    {
        Report report = default;
        report.Body.Attributes = new SgxAttributes(AttributeFlags.INIT | AttributeFlags.MODE64BIT, 3);
        report.Body.IsvSvn = 9;
        return Bytes.Of(in report).ToArray();
    }

    internal static byte[] TargetInfoBytes()
    {
        TargetInfo target = default;
        target.Attributes = new SgxAttributes(AttributeFlags.MODE64BIT, 7);
        return Bytes.Of(in target).ToArray();
    }

    public static TheoryData<string> SigStructs =>
        [
            .. Directory.GetFiles(Path.Combine(SharedDirectory.Find(), "vectors", "sigstruct"))
                .Select(static path => Path.GetFileName(path)!)
                .Order(),
        ];

    [Theory]
    [MemberData(nameof(SigStructs))]
    public void Intels_signatures_are_valid_and_ask_for_the_launch_key(string file)
    {
        EnclaveImage image = ImageReader.Read(Path.Combine(SharedDirectory.Find(), "vectors", "sigstruct", file));
        Assert.Equal(ImageKind.SigStruct, image.Kind);
        SigStruct signature = image.Signature!.Value;
        Assert.Equal(SignatureState.Valid, SignatureReview.Of(in signature));
        FactGroup facts = SignatureFacts.Of(in signature, 0);
        Assert.Equal("acb77012053e05a63d413b8bbae8fb6c5d73b3f2996d91c43bbbf90959c0f8d4", Value(facts, "MRSIGNER"));
        Assert.Equal("32", Value(facts, "ISVPRODID"));
        Assert.Equal([ReviewWarning.EInitTokenKey], ImageReview.Of(image, new DateOnly(2026, 1, 1)).Select(static warning => warning.Code));
    }

    [Fact]
    public void Structures_are_told_by_size_and_what_must_be_zero()
    {
        Assert.Equal(ImageKind.Report, ImageFiles.Read(ReportBytes()).Kind);
        Assert.Equal(ImageKind.TargetInfo, ImageFiles.Read(TargetInfoBytes()).Kind);
        Assert.Equal(ImageKind.EInitToken, ImageFiles.Read(new byte[EInitToken.Size]).Kind);
        byte[] random = SdkWriter.Pattern(Report.Size, 1);
        Assert.Throws<ImageException>(() => ImageFiles.Read(random));
        Assert.Equal(ImageKind.Report, ImageFiles.Read(random, ImageKind.Report).Kind);
    }

    [Fact]
    public void Something_behind_a_SIGSTRUCT_is_said_and_behind_the_others_refused()
    {
        SigStruct signature = Signatures.Plain();
        Assert.Contains(
            "5 bytes more", Assert.Single(ImageFiles.Read([.. Bytes.Of(in signature), .. new byte[5]]).Notes), StringComparison.Ordinal);
        Assert.Equal(432, Assert.Throws<ImageException>(() => ImageFiles.Read([.. ReportBytes(), 0], ImageKind.Report)).Offset);
        Assert.Throws<ImageException>(() => ImageFiles.Read(Bytes.Of(in signature)[..^1].ToArray()));
    }

    internal static string Value(FactGroup group, string name) => group.Facts.Single(fact => fact.Name == name).Text;
}
