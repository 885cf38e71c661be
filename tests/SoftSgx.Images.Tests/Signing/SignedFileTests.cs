using SoftSgx.Architecture;
using SoftSgx.Images.Tests.Writers;

namespace SoftSgx.Images.Tests;

/// <summary>Signatures in the places that files have for them: nothing else changes, and what is wrong is noticed.</summary>
public sealed class SignedFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Files => ["sdk", "several blocks", "openenclave"];

    [Theory]
    [MemberData(nameof(Files))]
    public void Only_the_signature_changes(string kind)
    {
        string source = Write(kind);
        PlacedSignature[] placed = Sign(source);
        string target = _folder.File("signed");

        using (FileStream output = File.Create(target))
        {
            SignedFile.Write(output, source, placed);
        }

        SignedFile.Check(target, placed);
        byte[] before = File.ReadAllBytes(source);
        byte[] after = File.ReadAllBytes(target);
        foreach (PlacedSignature signature in placed)
        {
            before.AsSpan((int)signature.Offset, SigStruct.Size).Clear();
            after.AsSpan((int)signature.Offset, SigStruct.Size).Clear();
        }

        Assert.Equal(before, after);
        Assert.Equal(kind == "several blocks" ? 2 : 1, placed.Length);
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void A_signature_for_another_measurement_is_noticed(string kind)
    {
        string source = Write(kind);
        PlacedSignature[] placed = Sign(source);
        SigStruct wrong = placed[^1].Signature;
        wrong.EnclaveHash.AsSpan()[0] ^= 1;
        placed[^1] = placed[^1] with { Signature = wrong };
        string target = _folder.File("signed");
        using (FileStream output = File.Create(target))
        {
            SignedFile.Write(output, source, placed);
        }

        Assert.Contains("measures to something else", Assert.Throws<ImageException>(() => SignedFile.Check(target, placed)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_changed_is_noticed()
    {
        string source = Write("sdk");
        PlacedSignature[] placed = Sign(source);

        Assert.Throws<ImageException>(() => SignedFile.Check(source, placed));
    }

    [Theory]
    [InlineData(-1L)]
    [InlineData(1L)]
    [InlineData(long.MaxValue)]
    public void A_place_that_is_not_in_the_file_is_refused(long offset)
    {
        string source = _folder.File("short");
        File.WriteAllBytes(source, new byte[SigStruct.Size]);
        using MemoryStream output = new();

        Assert.Throws<ImageException>(() => SignedFile.Write(output, source, [new PlacedSignature(offset, default)]));
    }

    [Fact]
    public void A_structure_alone_is_its_bytes()
    {
        SigStruct sig = SigStructSigner.Template();
        using MemoryStream output = new();

        SignedFile.Write(output, null, [new PlacedSignature(0, sig)]);

        Assert.True(output.ToArray().AsSpan().SequenceEqual(Bytes.Of(in sig)));
    }

    public void Dispose() => _folder.Dispose();

    private string Write(string kind)
    {
        string path = _folder.File("enclave");
        File.WriteAllBytes(path, kind switch
        {
            "sdk" => SdkWriter.Elf(new SdkWriter().Usual(0x6000, 3).Block()),
            "several blocks" => SdkWriter.Elf(
                [(22, 0), (7, 0x7000), (8, 72)],
                new SdkWriter { Version = (2, 4) }.Usual(0x6000, 2).Block(), new SdkWriter { Version = (1, 4) }.Usual(0x6000, 1).Block()),
            _ => new OpenEnclaveWriter().Build(),
        });
        return path;
    }

    private static PlacedSignature[] Sign(string path)
    {
        EnclaveImage image = ImageReader.Read(path);
        (EnclaveLayout? Layout, long Offset)[] places = image.Variants.Count > 0
            ? [.. image.Variants.Select(static variant => (variant.Layout, variant.SignatureOffset)).DistinctBy(static place => place.SignatureOffset)]
            : [(image.Layout, image.SignatureOffset)];
        return [.. places.Select(static place =>
        {
            SigStruct sig = SigStructSigner.Template();
            sig.EnclaveHash = EnclaveMeasurer.Measure(place.Layout!).MrEnclave;
            SigStructSigner.Sign(ref sig, Keys.First);
            return new PlacedSignature(place.Offset, sig);
        })];
    }
}
