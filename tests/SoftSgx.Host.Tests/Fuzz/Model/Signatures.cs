using System.Runtime.InteropServices;
using SoftSgx.Architecture;
using SoftSgx.Processor.Tests;

namespace SoftSgx.Host.Tests.Fuzz.Model;

/// <summary>What may be wrong with a SIGSTRUCT.</summary>
internal enum Flaw
{
    None,
    Measurement,
    Signature,
    Vendor,
    Header,
    Debug,
    ReservedAttribute,
    ReservedXfrm,
}

/// <summary>SIGSTRUCTs for enclaves, good and flawed, and EINIT's verdict on them.</summary>
internal static class Signatures
{
    private const ulong SGX_INVALID_SIG_STRUCT = 1, SGX_INVALID_ATTRIBUTE = 2, SGX_INVALID_MEASUREMENT = 4, SGX_INVALID_SIGNATURE = 8;

    internal static byte[] Make(EnclaveState enclave, Flaw flaw)
    {
        Hash256 hash = enclave.Measurement!.Value;
        SigStruct signature = TestSigner.Template(in hash, new SgxAttributes((AttributeFlags)enclave.Attributes, enclave.Xfrm));
        signature.MiscSelect = (MiscSelect)enclave.Misc;
        switch (flaw)
        {
            case Flaw.Measurement:
                signature.EnclaveHash.AsSpan()[0] ^= 1;
                break;
            case Flaw.Vendor:
                signature.Vendor = 0x1234;
                break;
            case Flaw.Header:
                signature.Header.AsSpan()[5] ^= 1;
                break;
            case Flaw.Debug:
                signature.Attributes = new SgxAttributes(signature.Attributes.Flags ^ AttributeFlags.DEBUG, signature.Attributes.Xfrm);
                break;
            case Flaw.ReservedAttribute:
                signature.Attributes = new SgxAttributes(signature.Attributes.Flags | (AttributeFlags)8, signature.Attributes.Xfrm);
                break;
            case Flaw.ReservedXfrm:
                signature.Attributes = new SgxAttributes(signature.Attributes.Flags, signature.Attributes.Xfrm | 1ul << 62);
                break;
            default:
                break;
        }
        TestSigner.First.Sign(ref signature);
        if (flaw == Flaw.Signature)
        {
            signature.Signature.AsSpan()[7] ^= 1;
        }
        return MemoryMarshal.AsBytes(new Span<SigStruct>(ref signature)).ToArray();
    }

    /// <summary>EINIT's error code; 0 if the enclave is as it was signed.</summary>
    internal static ulong Verify(EnclaveState enclave, in SigStruct signature)
    {
        SigStruct again = signature;
        TestSigner.First.Sign(ref again);
        ulong mask = (ulong)signature.AttributeMask.Flags;
        Hash256 hash = enclave.Measurement!.Value;
        return signature.Vendor is not (0 or 0x8086) || !signature.Header.AsReadOnlySpan().SequenceEqual(SigStruct.HeaderConstant) ? SGX_INVALID_SIG_STRUCT
            : !again.Signature.AsReadOnlySpan().SequenceEqual(signature.Signature.AsReadOnlySpan()) ? SGX_INVALID_SIGNATURE
            : !hash.AsReadOnlySpan().SequenceEqual(signature.EnclaveHash.AsReadOnlySpan()) ? SGX_INVALID_MEASUREMENT
            : ((ulong)signature.Attributes.Flags & mask) != (enclave.Attributes & mask)
                || (signature.Attributes.Xfrm & signature.AttributeMask.Xfrm) != (enclave.Xfrm & signature.AttributeMask.Xfrm)
                || ((uint)signature.MiscSelect & (uint)signature.MiscMask) != (enclave.Misc & (uint)signature.MiscMask)
                ? SGX_INVALID_ATTRIBUTE
            : 0;
    }
}
