using System.Numerics;
using System.Runtime.InteropServices;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Images;

/// <summary>
/// Makes signature structures: what is signed, the signature, and the two quotients that spare the processor long divisions.
/// SDM vol. 3D, "Enclave signature structure (SIGSTRUCT)" and EINIT.
/// </summary>
public static class SigStructSigner
{
    /// <summary>Length in bytes of what is signed: header and body.</summary>
    public const int SignedLength = SigStruct.SignedHeaderLength + SigStruct.SignedBodyLength;

    /// <summary>
    /// XFRM bits that are left to the host: what an enclave computes does not depend on them, since it must ask XFRM before it uses a
    /// feature. All others are to be as signed.
    /// </summary>
    private const ulong OptionalXfrm =
        (ulong)(XFeatureMask.AVX | XFeatureMask.OPMASK | XFeatureMask.ZMM_HI256 | XFeatureMask.HI16_ZMM | XFeatureMask.BNDREGS
            | XFeatureMask.BNDCSR | XFeatureMask.PKRU | XFeatureMask.TILECFG | XFeatureMask.TILEDATA);

    /// <summary>
    /// A structure with all constants in place: a production enclave in 64-bit mode, vendor 0. Every attribute must be as signed, of
    /// XFRM what is optional need not.
    /// </summary>
    public static SigStruct Template()
    {
        SigStruct sig = default;
        sig.Header = Bytes16.From(SigStruct.HeaderConstant);
        sig.Header2 = Bytes16.From(SigStruct.Header2Constant);
        sig.Exponent = SigStruct.RequiredExponent;
        sig.Attributes = new SgxAttributes(AttributeFlags.MODE64BIT, (ulong)XFeatureMask.Legacy);
        sig.AttributeMask = new SgxAttributes((AttributeFlags)ulong.MaxValue, ~OptionalXfrm);
        sig.MiscMask = (MiscSelect)uint.MaxValue;
        return sig;
    }

    /// <summary>
    /// A structure like another one, to be signed anew: whatever is said of the enclave stays, constants and the vendor are set, key
    /// and signature are empty.
    /// </summary>
    public static SigStruct TemplateOf(in SigStruct other)
    {
        SigStruct sig = Template();
        sig.SwDefined = other.SwDefined;
        sig.Date = other.Date;
        sig.MiscSelect = other.MiscSelect;
        sig.MiscMask = other.MiscMask;
        sig.CetAttributes = other.CetAttributes;
        sig.CetAttributesMask = other.CetAttributesMask;
        sig.IsvFamilyId = other.IsvFamilyId;
        sig.Attributes = other.Attributes;
        sig.AttributeMask = other.AttributeMask;
        sig.EnclaveHash = other.EnclaveHash;
        sig.IsvExtProdId = other.IsvExtProdId;
        sig.IsvProdId = other.IsvProdId;
        sig.IsvSvn = other.IsvSvn;
        return sig;
    }

    /// <summary>What is signed: header and body, 256 bytes.</summary>
    public static byte[] SignedBytes(in SigStruct sig)
    {
        ReadOnlySpan<byte> bytes = Bytes.Of(in sig);
        return [.. bytes[..SigStruct.SignedHeaderLength], .. bytes.Slice(SigStruct.SignedBodyOffset, SigStruct.SignedBodyLength)];
    }

    /// <summary>The structure of which <see cref="SignedBytes"/> made these bytes; key and signature are empty.</summary>
    /// <exception cref="ImageException">They are no header and body.</exception>
    public static SigStruct FromSignedBytes(ReadOnlySpan<byte> signed)
    {
        if (signed.Length != SignedLength)
        {
            throw new ImageException($"{signed.Length} bytes: what is signed of an enclave has {SignedLength}");
        }

        byte[] bytes = new byte[SigStruct.Size];
        signed[..SigStruct.SignedHeaderLength].CopyTo(bytes);
        signed[SigStruct.SignedHeaderLength..].CopyTo(bytes.AsSpan(SigStruct.SignedBodyOffset));
        SigStruct sig = MemoryMarshal.Read<SigStruct>(bytes);
        sig.Exponent = SigStruct.RequiredExponent;
        if (!sig.Header.AsReadOnlySpan().SequenceEqual(SigStruct.HeaderConstant)
            || !sig.Header2.AsReadOnlySpan().SequenceEqual(SigStruct.Header2Constant))
        {
            throw new ImageException("these bytes do not begin as what is signed of an enclave does");
        }

        return sig;
    }

    /// <summary>Signs a structure: fills in key, signature and quotients.</summary>
    /// <exception cref="ImageException">The key cannot sign.</exception>
    public static void Sign(ref SigStruct sig, SigningKey key)
    {
        ArgumentNullException.ThrowIfNull(key);
        if (!key.IsPrivate)
        {
            throw new ImageException("a public key cannot sign");
        }

        byte[] signature = key.Sign(EnclaveSignature.SignedDigest(in sig));

        // A key whose parts do not belong together, or a fault while it was computed, would give its primes away with the signature.
        if (!TryMerge(ref sig, signature, key))
        {
            throw new ImageException("the key cannot sign: its parts do not belong together");
        }
    }

    /// <summary>Fills in a signature that was made elsewhere.</summary>
    /// <param name="sig">The structure that was signed.</param>
    /// <param name="signature">
    /// PKCS #1 v1.5 with SHA-256 over <see cref="SignedBytes"/>: 384 bytes, big-endian, as openssl and HSMs give it.
    /// </param>
    /// <param name="key">Whose signature it is.</param>
    /// <exception cref="ImageException">It is no signature of this structure by this key.</exception>
    public static void Merge(ref SigStruct sig, ReadOnlySpan<byte> signature, SigningKey key)
    {
        ArgumentNullException.ThrowIfNull(key);
        if (signature.Length != Bytes384.Size)
        {
            throw new ImageException($"{signature.Length} bytes: a signature by RSA-3072 has {Bytes384.Size}, not encoded");
        }

        if (!TryMerge(ref sig, signature, key))
        {
            throw new ImageException(
                "it is no signature by this key of what is to be signed: PKCS #1 v1.5 with SHA-256 is needed, "
                    + "over the very bytes that --digest-out gave");
        }
    }

    private static bool TryMerge(ref SigStruct sig, ReadOnlySpan<byte> bigEndian, SigningKey key)
    {
        BigInteger modulus = new(key.Modulus.AsReadOnlySpan(), isUnsigned: true);
        BigInteger signature = new(bigEndian, isUnsigned: true, isBigEndian: true);
        if (signature >= modulus)
        {
            return false;
        }

        SigStruct merged = sig;
        merged.Modulus = key.Modulus;
        merged.Exponent = SigStruct.RequiredExponent;
        BigInteger q1 = BigInteger.DivRem(signature * signature, modulus, out BigInteger square);
        Write(signature, ref merged.Signature);
        Write(q1, ref merged.Q1);
        Write(square * signature / modulus, ref merged.Q2);
        if (!EnclaveSignature.Verify(in merged))
        {
            return false;
        }

        sig = merged;
        return true;
    }

    private static void Write(BigInteger value, ref Bytes384 target)
    {
        target.AsSpan().Clear();
        _ = value.TryWriteBytes(target.AsSpan(), out _, isUnsigned: true);
    }
}
