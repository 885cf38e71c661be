using System.Numerics;
using System.Runtime.InteropServices;
using SoftSgx.Architecture;
using SoftSgx.Tests;

namespace SoftSgx.Processor.Tests;

/// <summary>Signatures that Intel made, and what becomes of them when a bit of them changes.</summary>
public class SigStructVectorTests
{
    public static TheoryData<string, string, ushort> Vectors => new()
    {
        { "2016-06-23-76e854.css", "3fb6238206b19c8e3b24ded8cacc9dd9428372898e34cd2da4a5166ecfb16f74", 1 },
        { "2016-12-20-ed66ad.css", "8050122c5f999a28624b23ddd85b0483caedae3f38a29d192758798e6785d090", 1 },
        { "2018-03-16-5b48e1.css", "f313b3f166f928898722933b71fce663820b0a51a0cd7a7c6607e0811d80e97c", 1 },
        { "2018-12-20-a5c1ba.css", "c2c7a1829d0d6b7baa150b30bfe1524e12db7db19256c9192630268837dba3bf", 3 },
        { "2020-07-07-8a3491.css", "30498a2cb6827581d29f595da1781379fd2a676c90477f449b023eb2e9407a53", 5 },
        { "2021-03-30-c5105f.css", "1c03d41799e76fde5c3cd55c5ba1ffcb06aa53fb5f45b203d424334144eeccef", 5 },
        { "2022-06-15-8a0472.css", "043cf35340a4b6f151365c6d75d649e8bab47127f9ea9c9696a8ac7b7275b8c9", 5 },
        { "2024-01-19-c7f259.css", "e8d058943f7d42082681a827f46e465994facb090a624b4226da009b257f30ad", 6 },
    };

    [Theory]
    [MemberData(nameof(Vectors))]
    public void Intels_signature_verifies(string file, string mrEnclave, ushort isvSvn)
    {
        SigStruct sig = Load(file);

        Assert.True(EnclaveSignature.Verify(in sig));
        Assert.Equal(Hash256.From(LogicalProcessor.IntelPubKeyHash), EnclaveSignature.MrSigner(in sig));
        Assert.Equal(mrEnclave, sig.EnclaveHash.ToString());
        Assert.Equal(isvSvn, sig.IsvSvn);
        Assert.Equal(32, sig.IsvProdId);
        Assert.Equal(SigStruct.VendorIntel, sig.Vendor);
    }

    [Theory]
    [MemberData(nameof(Vectors))]
    public void Einit_takes_it_and_only_misses_the_enclave(string file, string mrEnclave, ushort isvSvn)
    {
        SigStruct sig = Load(file);
        TestPlatform platform = new();
        TestEnclave enclave = new(platform);

        // Everything before the measurement held, or another error would have won.
        Assert.Equal(LeafResult.FromError(SgxError.SGX_INVALID_MEASUREMENT), platform.Init(new LogicalProcessor(), enclave.SecsPage, in sig));
        Assert.Equal(mrEnclave, sig.EnclaveHash.ToString());
        Assert.Equal(isvSvn, sig.IsvSvn);
    }

    [Theory]
    [MemberData(nameof(Vectors))]
    public void Every_bit_of_intels_sigstruct_counts(string file, string mrEnclave, ushort isvSvn)
    {
        SigStruct sig = Load(file);
        Assert.Equal((mrEnclave, isvSvn), (sig.EnclaveHash.ToString(), sig.IsvSvn));
        TestPlatform platform = new();
        TestEnclave enclave = new(platform);
        LogicalProcessor logical = new();
        for (int bit = 0; bit < 8 * SigStruct.Size; bit++)
        {
            SigStruct changed = sig;
            Bytes.Writable(ref changed)[bit / 8] ^= (byte)(1 << (bit % 8));
            LeafResult result = platform.Init(logical, enclave.SecsPage, in changed);
            Assert.True(IsRefused(result), $"flipped bit {bit % 8} of byte {bit / 8} gave {result}");
        }
    }

    [Fact]
    public void Every_byte_of_a_sigstruct_that_fits_the_enclave_counts()
    {
        TestPlatform platform = new();
        TestEnclave enclave = new(platform);
        SigStruct sig = enclave.Signed();

        AssertEveryByteCounts(sig, changed => platform.Init(enclave.Logical, enclave.SecsPage, in changed));
        Assert.Equal(LeafResult.Ok, platform.Init(enclave.Logical, enclave.SecsPage, in sig));
    }

    [Fact]
    public void Quotients_that_are_wrong_together_are_refused()
    {
        // q1 - 1 with q2 + s yields the same cube; only the range of the remainder in between tells.
        TestEnclave enclave = new(new TestPlatform());
        for (uint date = 1; ; date++)
        {
            SigStruct sig = enclave.Signed(b => b.Value.Date = date);
            BigInteger sum = Number(sig.Q2) + Number(sig.Signature);
            if (sum.GetByteCount(isUnsigned: true) > Bytes384.Size)
            {
                continue;
            }

            Assert.True(EnclaveSignature.Verify(in sig));
            Write(ref sig.Q1, Number(sig.Q1) - 1);
            Write(ref sig.Q2, sum);
            Assert.False(EnclaveSignature.Verify(in sig));
            return;
        }
    }

    private static BigInteger Number(Bytes384 value) => new(value.AsReadOnlySpan(), isUnsigned: true);

    private static void Write(ref Bytes384 target, BigInteger value)
    {
        target.AsSpan().Clear();
        Assert.True(value.TryWriteBytes(target.AsSpan(), out _, isUnsigned: true));
    }

    private static void AssertEveryByteCounts(SigStruct sig, Func<SigStruct, LeafResult> initialize)
    {
        for (int i = 0; i < SigStruct.Size; i++)
        {
            SigStruct changed = sig;
            Bytes.Writable(ref changed)[i] ^= (byte)(1 << (i % 8));
            LeafResult result = initialize(changed);

            Assert.True(IsRefused(result), $"a flipped bit in byte {i} gave {result}");
        }
    }

    private static bool IsRefused(LeafResult result) => result.Error is SgxError.SGX_INVALID_SIG_STRUCT or SgxError.SGX_INVALID_SIGNATURE;

    private static SigStruct Load(string file)
    {
        byte[] bytes = File.ReadAllBytes(Path.Combine(SharedDirectory.Find(), "vectors", "sigstruct", file));
        Assert.Equal(SigStruct.Size, bytes.Length);
        return MemoryMarshal.Read<SigStruct>(bytes);
    }
}
