using System.Numerics;
using System.Security.Cryptography;
using SoftSgx.Architecture;

namespace SoftSgx.Processor.Model;

/// <summary>
/// The signature of a SIGSTRUCT, checked by the platform's RSA; the two quotients by their definition.
/// SDM vol. 3D, "Enclave signature structure (SIGSTRUCT)".
/// </summary>
public static class Signature
{
    /// <summary>True if signature and quotients are right.</summary>
    public static bool IsValid(in SigStruct sig)
    {
        BigInteger modulus = Number(in sig.Modulus);
        BigInteger signature = Number(in sig.Signature);
        if (modulus.GetBitLength() != 3072 || signature >= modulus) return false;
        if (Number(in sig.Q1) != signature * signature / modulus) return false;
        if (Number(in sig.Q2) != signature * signature % modulus * signature / modulus) return false;

        using RSA rsa = RSA.Create(new RSAParameters { Modulus = BigEndian(in sig.Modulus), Exponent = [3] });
        return rsa.VerifyData(SignedBytes(in sig), BigEndian(in sig.Signature), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
    }

    /// <summary>What is signed: header and body.</summary>
    public static byte[] SignedBytes(in SigStruct sig)
    {
        ReadOnlySpan<byte> all = Bytes.Of(in sig);
        return [.. all[..128], .. all.Slice(900, 128)];
    }

    private static BigInteger Number(in Bytes384 value) => new(value.AsReadOnlySpan(), isUnsigned: true);

    private static byte[] BigEndian(in Bytes384 value)
    {
        byte[] bytes = value.AsReadOnlySpan().ToArray();
        Array.Reverse(bytes);
        return bytes;
    }
}
