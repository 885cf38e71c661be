using System.Numerics;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Images;

/// <summary>One thing that was looked at.</summary>
/// <param name="Name">What it is, for scripts: "signature".</param>
/// <param name="Holds">Whether it is as it must be.</param>
/// <param name="Detail">What was found, for people.</param>
public sealed record SigStructFinding(string Name, bool Holds, string Detail);

/// <summary>
/// What EINIT would say of a signature structure, each check for itself.
/// SDM vol. 3D, EINIT and "Enclave signature structure (SIGSTRUCT)".
/// </summary>
public static class SigStructCheck
{
    private const int ModulusBits = 8 * Bytes384.Size;

    /// <summary>Looks at a structure alone; whether it fits an enclave is another question.</summary>
    /// <returns>Every check, in EINIT's order.</returns>
    public static IReadOnlyList<SigStructFinding> Check(in SigStruct sig)
    {
        BigInteger modulus = Number(in sig.Modulus);
        BigInteger signature = Number(in sig.Signature);
        bool hasModulus = modulus.GetBitLength() == ModulusBits && !modulus.IsEven;
        BigInteger square = hasModulus ? signature * signature : 0;
        BigInteger q1 = hasModulus ? BigInteger.DivRem(square, modulus, out square) : 0;
        BigInteger q2 = hasModulus ? BigInteger.DivRem(square * signature, modulus, out BigInteger cube) : cube = 0;
        bool isSigned = hasModulus && signature < modulus
            && cube == new BigInteger(EnclaveSignature.EncodedMessage(in sig), isUnsigned: true, isBigEndian: true);
        bool hasQ1 = isSigned && Number(in sig.Q1) == q1;
        bool hasQ2 = isSigned && Number(in sig.Q2) == q2;
        bool kss = (sig.Attributes.Flags & sig.AttributeMask.Flags & AttributeFlags.KSS) != 0;
        bool mayHaveKss = kss || (sig.AttributeMask.Flags & AttributeFlags.KSS) == 0;
        bool hasFamily = mayHaveKss || sig.IsvFamilyId.IsZero;
        bool hasVendor = sig.Vendor is 0 or SigStruct.VendorIntel;

        return
        [
            Constant("header", sig.Header.AsReadOnlySpan(), SigStruct.HeaderConstant),
            new("vendor", hasVendor, $"0x{sig.Vendor:x}{(hasVendor ? "" : ", neither 0 nor Intel's 0x8086")}"),
            Constant("header2", sig.Header2.AsReadOnlySpan(), SigStruct.Header2Constant),
            new("exponent", sig.Exponent == SigStruct.RequiredExponent, $"{sig.Exponent}"),
            Reserved(in sig),
            new("modulus", hasModulus, hasModulus ? $"{ModulusBits} bits" : "no modulus of RSA-3072"),
            new("signature", isSigned, isSigned ? "RSA-3072 with SHA-256, of header and body" : "not of this header and body by this key"),
            new("q1", hasQ1, hasQ1 ? "the quotient of the signature's square" : "not the quotient of the signature's square"),
            new("q2", hasQ2, hasQ2 ? "the quotient of its cube" : "not the quotient of its cube"),
            new("family-id", hasFamily, hasFamily ? "zero, or with KSS" : "not zero, and KSS is not allowed"),
        ];
    }

    private static SigStructFinding Constant(string name, ReadOnlySpan<byte> found, ReadOnlySpan<byte> wanted)
    {
        bool holds = found.SequenceEqual(wanted);
        return new(name, holds, holds ? "as it must be" : $"{Convert.ToHexStringLower(found)} instead of {Convert.ToHexStringLower(wanted)}");
    }

    private static SigStructFinding Reserved(in SigStruct sig)
    {
        string? wrong = !Bytes.IsZero(in sig.Reserved1) ? "44 to 127"
            : !Bytes.IsZero(in sig.Reserved2) ? "910 to 911"
            : !Bytes.IsZero(in sig.Reserved3) ? "992 to 1007"
            : !Bytes.IsZero(in sig.Reserved4) ? "1028 to 1039"
            : null;
        return new("reserved", wrong is null, wrong is null ? "all zero" : $"bytes {wrong} are not zero");
    }

    private static BigInteger Number(in Bytes384 value) => new(value.AsReadOnlySpan(), isUnsigned: true);
}
