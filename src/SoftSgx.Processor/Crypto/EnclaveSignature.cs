using System.Numerics;
using System.Security.Cryptography;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// The RSA-3072 signature of a SIGSTRUCT, exponent 3, checked with the help of its two quotients as EINIT does.
/// SDM vol. 3D, EINIT, and "Enclave signature structure (SIGSTRUCT)".
/// </summary>
/// <remarks>
/// <code>
/// q1 = ⌊s² / m⌋      r = s² − q1·m
/// q2 = ⌊s·r / m⌋     s³ mod m = s·r − q2·m
/// </code>
/// Both remainders must lie in [0, m), so that wrong quotients are refused.
/// </remarks>
public static class EnclaveSignature
{
    /// <summary>True if signature, modulus and both quotients belong together and sign header and body.</summary>
    public static bool Verify(in SigStruct sigStruct)
    {
        BigInteger modulus = Number(in sigStruct.Modulus);
        BigInteger signature = Number(in sigStruct.Signature);
        if (signature >= modulus)
        {
            return false;
        }

        BigInteger square = (signature * signature) - (Number(in sigStruct.Q1) * modulus);
        if (square.Sign < 0 || square >= modulus)
        {
            return false;
        }

        BigInteger cube = (square * signature) - (Number(in sigStruct.Q2) * modulus);
        if (cube.Sign < 0 || cube >= modulus)
        {
            return false;
        }

        return cube == new BigInteger(EncodedMessage(in sigStruct), isUnsigned: true, isBigEndian: true);
    }

    /// <summary>MRSIGNER: SHA-256 of the modulus.</summary>
    public static Hash256 MrSigner(in SigStruct sigStruct)
    {
        Hash256 digest = default;
        SHA256.HashData(sigStruct.Modulus.AsReadOnlySpan(), digest.AsSpan());
        return digest;
    }

    /// <summary>SHA-256 of what is signed: the header and the body.</summary>
    public static Hash256 SignedDigest(in SigStruct sigStruct)
    {
        ReadOnlySpan<byte> bytes = Bytes.Of(in sigStruct);
        Span<byte> signed = stackalloc byte[SigStruct.SignedHeaderLength + SigStruct.SignedBodyLength];
        bytes[..SigStruct.SignedHeaderLength].CopyTo(signed);
        bytes.Slice(SigStruct.SignedBodyOffset, SigStruct.SignedBodyLength).CopyTo(signed[SigStruct.SignedHeaderLength..]);
        Hash256 digest = default;
        SHA256.HashData(signed, digest.AsSpan());
        return digest;
    }

    /// <summary>What the signature must be the cube root of: padding and digest, 384 bytes, big-endian.</summary>
    public static byte[] EncodedMessage(in SigStruct sigStruct)
    {
        byte[] message = new byte[Bytes384.Size];
        Pkcs1Padding.BigEndian.CopyTo(message);
        SignedDigest(in sigStruct).AsReadOnlySpan().CopyTo(message.AsSpan(Pkcs1Padding.Length));
        return message;
    }

    private static BigInteger Number(in Bytes384 littleEndian) => new(littleEndian.AsReadOnlySpan(), isUnsigned: true);
}
