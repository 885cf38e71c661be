using System.Numerics;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Images;

/// <summary>What is the matter with a signature.</summary>
public enum SignatureState
{
    /// <summary>EINIT takes it: signature and quotients are right.</summary>
    Valid,

    /// <summary>The RSA signature is right, but q1 or q2 is not, so EINIT refuses it.</summary>
    WrongQuotients,

    /// <summary>It is no signature of that header and body by that modulus.</summary>
    Invalid,
}

/// <summary>Tells why EINIT would refuse a signature.</summary>
public static class SignatureReview
{
    /// <summary>Checks the signature, with its quotients and, if that fails, without.</summary>
    public static SignatureState Of(in SigStruct sigStruct)
    {
        if (EnclaveSignature.Verify(in sigStruct))
        {
            return SignatureState.Valid;
        }

        BigInteger modulus = new(sigStruct.Modulus.AsReadOnlySpan(), isUnsigned: true);
        BigInteger signature = new(sigStruct.Signature.AsReadOnlySpan(), isUnsigned: true);
        BigInteger message = new(EnclaveSignature.EncodedMessage(in sigStruct), isUnsigned: true, isBigEndian: true);
        return !modulus.IsZero && signature < modulus && BigInteger.ModPow(signature, SigStruct.RequiredExponent, modulus) == message
            ? SignatureState.WrongQuotients
            : SignatureState.Invalid;
    }
}
