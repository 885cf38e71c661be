using System.Globalization;
using System.Numerics;
using System.Security.Cryptography;
using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>An enclave author with a fixed RSA-3072 key, exponent 3. The keys are for these tests and guard nothing.</summary>
internal sealed class TestSigner
{
    private const string FirstP =
        "ebe422482303d6e3ba203fc7eafcb7ec0fad34e7abbf80177127f14fb2a6f580681c05dd64223dbed887cfac0392caf6" +
        "cf7d6fb4b04888826991aaa5d612ac3b0bfa7d8d336eb7112b9583d8856ef28b4d46009cc832e673bef59fa1bd2d0d02" +
        "4a15f68e9ae01eac6d57a975bb4c6dc3f315b7c5268eb01b88868fe76b16013ed8ca6e73c7706d789426fd3e7e99d40f" +
        "eccb0490fd746cc4d0ccdc9bd06ff1e885b71a444df3dc40526c175698a138f5ffee82be705ed7417a32011557dd7c7b";

    private const string FirstQ =
        "c9168dfe7fdb9f51b61477f958320b0b469aa4cd1df3ec554023245f382c1eb49e4442bd406364d177d3aed1a8580c71" +
        "bccc2c36c2bc5547abe6a792a908391302c9b989b9b2cc02d7d08451a922f723126dd93a8c0134ac462327791a39f695" +
        "4b3483e9bfeabf29eca8969c047d79379334ff38b642a417d6b209ea43ab3cd85466e8f49e8ee0e66f978a454e928399" +
        "3ca82ea1772bb943e961978b0fb84d422f35c9156656c8c03086fe79d50cbfcb5996cadeeb3457c0ef43e3f1b06b1c8b";

    private const string SecondP =
        "f58ccde00eaba3b63d934b8e4e52ac9d31a57cc6450c86aff36c219cb13868e4a41171ad437c79d1b3ede466aeebebb0" +
        "799f50080c7f7c4397d28e841dffcd7b9f80f0bc98760291de7e7d81ea872115c034a96403c1a0e4c34b20db7a2afc8d" +
        "1834b302d7912553bd5ee2e564f4d3acdbc3d753d19bad9eb21907e4d6331629dce05fb9e208d480bb7b672c689beb86" +
        "c8cbe2f1be355fe66b6d8937a98a3ba598357805f52b7f23278b4e570c6d724ea6311ed483d8fa2b314b19fc3d5898ed";

    private const string SecondQ =
        "cecc0ad632f48e18e3901affc470e96219986200daa3e442fe703763e4c6acd411a2af2e6266973c4e95c40c2f9b0626" +
        "f9af3093d6735b93345f5d7b0212efc3da544b26e07d741c262a810d127fd53b1c906c109b1b89dad6769b59c96bea94" +
        "e75a3a80915adf94da5d57acb1a1d65a8268061d4ebcac605dd90aeeda5e5b75bb9c9461df2032e960dacbebb481c5e0" +
        "877cda381fdb8f5851bcbf0f1978a0420b5b9c914b77d85911f50f96dee68c5b6a6796c63bcc76c3581d26db6879b517";

    private readonly BigInteger _modulus;
    private readonly RSA _rsa;

    private TestSigner(string p, string q)
    {
        BigInteger first = Parse(p);
        BigInteger second = Parse(q);
        BigInteger phi = (first - 1) * (second - 1);
        _modulus = first * second;

        // 3·d = 1 mod φ, and φ mod 3 is 1 or 2, so d = (1 + kφ) / 3 for the k that makes it whole.
        BigInteger k = phi % 3 == 2 ? 1 : 2;
        BigInteger d = (1 + (k * phi)) / 3;
        _rsa = RSA.Create(new RSAParameters
        {
            Modulus = BigEndian(_modulus, 384),
            Exponent = [3],
            D = BigEndian(d, 384),
            P = BigEndian(first, 192),
            Q = BigEndian(second, 192),
            DP = BigEndian(d % (first - 1), 192),
            DQ = BigEndian(d % (second - 1), 192),
            InverseQ = BigEndian(BigInteger.ModPow(second, first - 2, first), 192),
        });
    }

    public static TestSigner First { get; } = new(FirstP, FirstQ);

    public static TestSigner Second { get; } = new(SecondP, SecondQ);

    public Hash256 MrSigner
    {
        get
        {
            SigStruct sig = default;
            Write(_modulus, ref sig.Modulus);
            return EnclaveSignature.MrSigner(in sig);
        }
    }

    /// <summary>A SIGSTRUCT with all constants in place, not signed yet.</summary>
    public static SigStruct Template(in Hash256 enclaveHash, SgxAttributes attributes)
    {
        SigStruct sig = default;
        sig.Header = Bytes16.From(SigStruct.HeaderConstant);
        sig.Header2 = Bytes16.From(SigStruct.Header2Constant);
        sig.Date = 0x20260101;
        sig.Exponent = SigStruct.RequiredExponent;
        sig.EnclaveHash = enclaveHash;
        sig.Attributes = attributes;
        sig.AttributeMask = new SgxAttributes((AttributeFlags)ulong.MaxValue & ~AttributeFlags.INIT, ulong.MaxValue);
        sig.MiscMask = (MiscSelect)uint.MaxValue;
        return sig;
    }

    /// <summary>Puts modulus, signature and quotients in.</summary>
    public void Sign(ref SigStruct sig)
    {
        Write(_modulus, ref sig.Modulus);
        byte[] signed = _rsa.SignHash(
            EnclaveSignature.SignedDigest(in sig).AsReadOnlySpan().ToArray(), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        BigInteger signature = new(signed, isUnsigned: true, isBigEndian: true);
        BigInteger q1 = BigInteger.DivRem(signature * signature, _modulus, out BigInteger square);
        BigInteger q2 = square * signature / _modulus;
        Write(signature, ref sig.Signature);
        Write(q1, ref sig.Q1);
        Write(q2, ref sig.Q2);
    }

    private static byte[] BigEndian(BigInteger value, int length)
    {
        byte[] digits = value.ToByteArray(isUnsigned: true, isBigEndian: true);
        byte[] bytes = new byte[length];
        digits.CopyTo(bytes, length - digits.Length);
        return bytes;
    }

    private static BigInteger Parse(string hex) => BigInteger.Parse("0" + hex, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private static void Write(BigInteger value, ref Bytes384 target)
    {
        target.AsSpan().Clear();
        Assert.True(value.TryWriteBytes(target.AsSpan(), out _, isUnsigned: true));
    }
}
