using SoftSgx.Architecture;
using SoftSgx.Processor;
using SoftSgx.Processor.Model;

namespace SoftSgx.Images.Tests;

/// <summary>Signatures that we make: RSA of the platform and EINIT of the processor take them. And those that Intel made.</summary>
public sealed class SigStructSignerTests
{
    public static TheoryData<string> Vectors => SigStructVectors.Files;

    [Theory]
    [MemberData(nameof(Vectors))]
    public void Every_check_holds_for_intels_signatures(string file)
    {
        SigStruct sig = SigStructVectors.Load(file);

        Assert.All(SigStructCheck.Check(in sig), static finding => Assert.True(finding.Holds, finding.ToString()));
    }

    [Theory]
    [MemberData(nameof(Vectors))]
    public void Whatever_byte_of_them_changes_some_check_fails(string file)
    {
        SigStruct sig = SigStructVectors.Load(file);
        for (int i = 0; i < SigStruct.Size; i++)
        {
            SigStruct changed = sig;
            Bytes.Writable(ref changed)[i] ^= (byte)(1 << (i % 8));

            Assert.True(SigStructCheck.Check(in changed).Any(static finding => !finding.Holds), $"byte {i} does not count");
        }
    }

    [Theory]
    [InlineData(0, "header")]
    [InlineData(17, "vendor")]
    [InlineData(24, "header2")]
    [InlineData(512, "exponent")]
    [InlineData(100, "reserved")]
    [InlineData(516, "signature")]
    [InlineData(1040, "q1")]
    [InlineData(1424, "q2")]
    public void The_check_that_fails_has_the_name_of_what_is_wrong(int place, string name)
    {
        SigStruct sig = Signed();
        Bytes.Writable(ref sig)[place] ^= 0x10;

        Assert.Contains(name, SigStructCheck.Check(in sig).Where(static finding => !finding.Holds).Select(static finding => finding.Name));
    }

    [Fact]
    public void The_model_takes_what_is_signed()
    {
        SigStruct sig = Signed();

        Assert.True(Signature.IsValid(in sig));
        Assert.True(EnclaveSignature.Verify(in sig));
        Assert.Equal(Keys.First.MrSigner, EnclaveSignature.MrSigner(in sig));
        Assert.All(SigStructCheck.Check(in sig), static finding => Assert.True(finding.Holds, finding.ToString()));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Einit_takes_an_enclave_that_was_measured_and_signed(bool kss)
    {
        EnclaveLayout layout = RandomLayout.Create(new Random(5));
        SigStruct sig = SigStructSigner.Template();
        sig.EnclaveHash = EnclaveMeasurer.Measure(layout).MrEnclave;
        new SigStructSettings
        {
            Flags = AttributeFlags.MODE64BIT | (kss ? AttributeFlags.KSS : 0),
            Svn = 7,
            ProductId = 9,
            FamilyId = kss ? Bytes16.From([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]) : null,
            Date = new DateOnly(2026, 1, 31),
        }.Apply(ref sig);
        SigStructSigner.Sign(ref sig, Keys.First);

        using BuiltEnclave enclave = new(layout, sig.Attributes);
        Assert.Equal(LeafResult.FromError(SgxError.SGX_INVALID_EINITTOKEN), enclave.Initialize(in sig, Keys.Second.MrSigner));
        Assert.Equal(LeafResult.Ok, enclave.Initialize(in sig, Keys.First.MrSigner));
        Assert.Equal((7, 9), (enclave.Secs.IsvSvn, enclave.Secs.IsvProdId));
    }

    [Fact]
    public void An_external_signature_gives_the_same_structure()
    {
        SigStruct direct = Signed();
        SigStruct merged = SigStructSigner.FromSignedBytes(SigStructSigner.SignedBytes(in direct));

        SigStructSigner.Merge(ref merged, Keys.First.Sign(EnclaveSignature.SignedDigest(in merged)), SigningKey.ParsePublic(Keys.First.ExportPublicPem()));

        Assert.True(Bytes.Of(in direct).SequenceEqual(Bytes.Of(in merged)));
    }

    [Theory]
    [InlineData("other key")]
    [InlineData("other bytes")]
    [InlineData("little-endian")]
    [InlineData("bit")]
    [InlineData("ones")]
    [InlineData("zero")]
    [InlineData("short")]
    [InlineData("long")]
    public void A_signature_that_does_not_fit_is_refused(string what)
    {
        SigStruct sig = Signed();
        byte[] signature = Keys.First.Sign(EnclaveSignature.SignedDigest(in sig));
        SigningKey key = what == "other key" ? Keys.Second : Keys.First;
        switch (what)
        {
            case "other bytes": sig.Date++; break;
            case "little-endian": Array.Reverse(signature); break;
            case "bit": signature[200] ^= 4; break;
            case "ones": signature.AsSpan().Fill(0xFF); break;
            case "zero": signature.AsSpan().Clear(); break;
            case "short": signature = signature[1..]; break;
            case "long": signature = [.. signature, 0]; break;
        }

        SigStruct before = sig;
        Assert.Throws<ImageException>(() => SigStructSigner.Merge(ref sig, signature, key));
        Assert.True(Bytes.Of(in before).SequenceEqual(Bytes.Of(in sig)), "a refused signature left something behind");
    }

    [Fact]
    public void Chance_signs_nothing()
    {
        Random random = new(11);
        SigStruct sig = SigStructSigner.Template();
        for (int i = 0; i < 200; i++)
        {
            byte[] signature = new byte[random.Next(4) == 0 ? random.Next(600) : 384];
            random.NextBytes(signature);
            Assert.Throws<ImageException>(() => SigStructSigner.Merge(ref sig, signature, Keys.First));
        }
    }

    [Fact]
    public void Chance_is_not_what_was_to_be_signed()
    {
        Random random = new(12);
        SigStruct template = SigStructSigner.Template();
        byte[] good = SigStructSigner.SignedBytes(in template);
        for (int i = 0; i < 1000; i++)
        {
            byte[] bytes = random.Next(3) == 0 ? new byte[random.Next(400)] : (byte[])good.Clone();
            if (bytes.Length > 0)
            {
                bytes[random.Next(bytes.Length)] ^= (byte)random.Next(1, 256);
            }

            try
            {
                SigStruct read = SigStructSigner.FromSignedBytes(bytes);
                Assert.Equal(bytes, SigStructSigner.SignedBytes(in read));
            }
            catch (ImageException)
            {
                // As it should be.
            }
        }
    }

    [Theory]
    [InlineData(true, 0x6UL, ulong.MaxValue)]
    [InlineData(false, 0x4UL, ulong.MaxValue)]
    [InlineData(null, 0x4UL, ~0x2UL)]
    public void Debug_is_demanded_forbidden_or_left_open(bool? debug, ulong flags, ulong mask)
    {
        SigStruct sig = SigStructSigner.Template();

        new SigStructSettings { Debug = debug, FlagsMask = (AttributeFlags)~0x2UL }.Apply(ref sig);

        Assert.Equal((flags, mask), ((ulong)sig.Attributes.Flags, (ulong)sig.AttributeMask.Flags));
    }

    [Theory]
    [InlineData("init")]
    [InlineData("xfrm")]
    [InlineData("family")]
    public void What_no_processor_takes_is_refused(string what)
    {
        SigStruct sig = SigStructSigner.Template();
        SigStructSettings settings = what switch
        {
            "init" => new SigStructSettings { Flags = AttributeFlags.INIT },
            "xfrm" => new SigStructSettings { Xfrm = 1 },
            _ => new SigStructSettings { FamilyId = Bytes16.From(new byte[15].Append((byte)1).ToArray()) },
        };

        Assert.Throws<ImageException>(() => settings.Apply(ref sig));
    }

    [Fact]
    public void The_date_stands_in_decimal_digits()
    {
        SigStruct sig = SigStructSigner.Template();

        new SigStructSettings { Date = new DateOnly(2026, 11, 30) }.Apply(ref sig);

        Assert.Equal(0x20261130u, sig.Date);
    }

    [Fact]
    public void Signing_anew_keeps_what_was_said_and_is_nobody_elses()
    {
        SigStruct intels = SigStructVectors.Load("2018-12-20-a5c1ba.css");

        SigStruct sig = SigStructSigner.TemplateOf(in intels);
        SigStructSigner.Sign(ref sig, Keys.First);

        Assert.Equal((intels.EnclaveHash, intels.IsvSvn, intels.Attributes, 0u), (sig.EnclaveHash, sig.IsvSvn, sig.Attributes, sig.Vendor));
        Assert.True(Signature.IsValid(in sig));
    }

    private static SigStruct Signed()
    {
        SigStruct sig = SigStructSigner.Template();
        sig.EnclaveHash.AsSpan().Fill(0x5A);
        sig.Date = 0x20260101;
        SigStructSigner.Sign(ref sig, Keys.First);
        return sig;
    }
}
