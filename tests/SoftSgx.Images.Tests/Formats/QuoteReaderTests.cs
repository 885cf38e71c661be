using SoftSgx.Images.Tests.Writers;
using SoftSgx.Tests;

namespace SoftSgx.Images.Tests.Formats;

public sealed class QuoteReaderTests
{
    internal static byte[] Epid()
    {
        ByteWriter quote = new();
        quote.At(0, 436 + 680);
        return quote.U16(0, 2).U16(2, 1).U32(4, 0x0b2c).U16(8, 7).Put(48, StructureReaderTests.ReportBytes().AsSpan(0, 384)).U32(432, 680)
            .ToArray();
    }

    internal static byte[] TrustDomain(int version)
    {
        int body = version == 4 ? 48 : 54;
        ByteWriter quote = new();
        quote.U16(0, version).U16(2, 2).U32(4, 0x81);
        if (version == 5)
        {
            quote.U16(48, 2).U32(50, 584);
        }

        quote.Put(body + 136, SdkWriter.Pattern(48, 1));
        int length = body + 584;
        int data = length + 4;
        int certification = data + 128;
        int inner = certification + 6;

        // Type 6 holds the quoting enclave's report, its signature, authentication data of two bytes, and certification data of its own.
        quote.U16(certification, 6).U32(certification + 2, 384 + 64 + 4 + 6 + 36)
            .Put(inner, StructureReaderTests.ReportBytes().AsSpan(0, 384)).U16(inner + 448, 2).U16(inner + 452, 1).U32(inner + 454, 36);
        quote.At(inner + 458, 36);
        return quote.U32(length, (uint)(quote.Length - data)).ToArray();
    }

    public static TheoryData<string> Quotes => ["a", "b", "c", "d"];

    [Theory]
    [MemberData(nameof(Quotes))]
    public void Real_quotes_have_a_report_a_quoting_enclave_and_three_certificates(string name)
    {
        EnclaveImage image = ImageReader.Read(Path.Combine(SharedDirectory.Find(), "vectors", "quotes", $"{name}.sgx.quote"));
        Assert.Equal("quote, version 3 (ECDSA)", image.Format);
        FactGroup enclave = image.Facts.Single(static group => group.Title == "report of the quoting enclave");
        Assert.Equal("8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff", StructureReaderTests.Value(enclave, "MRSIGNER"));
        FactGroup certification = image.Facts.Single(static group => group.Title == "certification data");
        Assert.Equal(3UL, certification.Facts.Single(static fact => fact.Name == "certificates").Number);
        Assert.Contains("CN=Intel SGX Root CA", StructureReaderTests.Value(certification, "certificate 2"), StringComparison.Ordinal);
    }

    [Fact]
    public void EPID_quotes_and_those_of_trust_domains_are_read()
    {
        Assert.Equal("quote, version 2 (EPID)", ImageFiles.Read(Epid()).Format);
        Assert.Equal("quote, version 2 (EPID)", ImageFiles.Read(Epid()[..432], ImageKind.Quote).Format);
        foreach (int version in new[] { 4, 5 })
        {
            EnclaveImage image = ImageFiles.Read(TrustDomain(version));
            Assert.Equal($"quote, version {version} (ECDSA, of a trust domain)", image.Format);
            FactGroup body = image.Facts.Single(static group => group.Title == "report body");
            Assert.Equal(Convert.ToHexStringLower(SdkWriter.Pattern(48, 1)), StructureReaderTests.Value(body, "MRTD"));
            Assert.Equal(2, image.Facts.Count(static group => group.Title == "certification data"));
        }
    }

    [Fact]
    public void Lengths_that_reach_out_of_their_container_are_refused_with_the_place()
    {
        byte[] quote = File.ReadAllBytes(Path.Combine(SharedDirectory.Find(), "vectors", "quotes", "a.sgx.quote"));
        quote[0x434 + 3] = 0x7f;
        Assert.Throws<ImageException>(() => ImageFiles.Read(quote[..0x500]));
        byte[] longer = [.. quote];
        longer[436 + 128 + 384 + 64] = 0xff;
        longer[436 + 128 + 384 + 65] = 0xff;
        Assert.Contains(
            "authentication data", Assert.Throws<ImageException>(() => ImageFiles.Read(longer)).Message, StringComparison.Ordinal);
    }
}
