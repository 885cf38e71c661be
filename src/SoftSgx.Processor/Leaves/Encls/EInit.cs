using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EINIT]: checks signature and launch permission of an enclave that has been built, and lets it be entered.
/// SDM vol. 3D, EINIT.
/// </summary>
public static class EInit
{
    private const AttributeFlags ControlledAttributes = AttributeFlags.EINITTOKEN_KEY;
    private const uint TokenValid = 1;

    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="logical">The logical processor that executes: its IA32_SGXLEPUBKEYHASH counts.</param>
    /// <param name="sigStruct">RBX: the SIGSTRUCT, 1,808 bytes.</param>
    /// <param name="secsPage">RCX: EPC page of the enclave's SECS.</param>
    /// <param name="einitToken">RDX: the EINITTOKEN, 304 bytes.</param>
    /// <returns>
    /// Success, #GP(0) or #PF, or
    /// <see cref="SgxError.SGX_INVALID_SIG_STRUCT"/>: a constant or reserved field is wrong;
    /// <see cref="SgxError.SGX_INVALID_SIGNATURE"/>: the signature does not verify;
    /// <see cref="SgxError.SGX_INVALID_MEASUREMENT"/>: SIGSTRUCT or token name another enclave;
    /// <see cref="SgxError.SGX_INVALID_ATTRIBUTE"/>: ATTRIBUTES or MISCSELECT differ from what was signed, or need another
    /// signer;
    /// <see cref="SgxError.SGX_INVALID_EINITTOKEN"/>: no valid token, and the signer needs one;
    /// <see cref="SgxError.SGX_INVALID_CPUSVN"/>: the token is of a newer platform.
    /// </returns>
    public static LeafResult Execute(
        SgxProcessor processor, LogicalProcessor logical, ReadOnlySpan<byte> sigStruct, int secsPage, ReadOnlySpan<byte> einitToken)
    {
        ArgumentNullException.ThrowIfNull(processor);
        ArgumentNullException.ThrowIfNull(logical);
        ArgumentOutOfRangeException.ThrowIfNotEqual(sigStruct.Length, SigStruct.Size);
        ArgumentOutOfRangeException.ThrowIfNotEqual(einitToken.Length, EInitToken.Size);
        Epcm epcm = processor.Epcm;

        if (EnclsChecks.IsMissing(processor.Configuration, LeafFeature.SGX1, out LeafResult missing)) return missing;
        if (!epcm.Contains(secsPage)) return EnclsChecks.PageFault(secsPage);

        SigStruct sig = MemoryMarshal.Read<SigStruct>(sigStruct);
        EInitToken token = MemoryMarshal.Read<EInitToken>(einitToken);

        if (!IsWellFormed(in sig)) return LeafResult.FromError(SgxError.SGX_INVALID_SIG_STRUCT);
        if (!EnclaveSignature.Verify(in sig)) return LeafResult.FromError(SgxError.SGX_INVALID_SIGNATURE);
        if (!epcm.TryLockShared(secsPage)) return LeafResult.GeneralProtection;
        try
        {
            if (!EnclsChecks.IsSecs(epcm, secsPage)) return EnclsChecks.PageFault(secsPage);

            bool kss = (processor.SecsOf(secsPage).Attributes.Flags & AttributeFlags.KSS) != 0;
            if (!kss && !sig.IsvFamilyId.IsZero) return LeafResult.FromError(SgxError.SGX_INVALID_SIG_STRUCT);

            EnclaveState enclave = processor.StateOf(secsPage);
            if (!enclave.TryBeginMeasuring()) return LeafResult.GeneralProtection;
            try
            {
                return Initialize(processor, logical, enclave, secsPage, in sig, in token);
            }
            finally
            {
                enclave.EndMeasuring();
            }
        }
        finally
        {
            epcm.UnlockShared(secsPage);
        }
    }

    private static bool IsWellFormed(in SigStruct sig)
    {
        if (!sig.Header.AsReadOnlySpan().SequenceEqual(SigStruct.HeaderConstant)) return false;
        if (sig.Vendor is not (0 or SigStruct.VendorIntel)) return false;
        if (!sig.Header2.AsReadOnlySpan().SequenceEqual(SigStruct.Header2Constant)) return false;
        if (sig.Exponent != SigStruct.RequiredExponent) return false;
        if (!Bytes.IsZero(in sig.Reserved1)) return false;
        if (!Bytes.IsZero(in sig.Reserved2)) return false;
        if (!Bytes.IsZero(in sig.Reserved3)) return false;
        if (!Bytes.IsZero(in sig.Reserved4)) return false;
        return true;
    }

    private static LeafResult Initialize(
        SgxProcessor processor,
        LogicalProcessor logical,
        EnclaveState enclave,
        int secsPage,
        in SigStruct sig,
        in EInitToken token)
    {
        ref Secs secs = ref processor.WritableSecsOf(secsPage);
        Hash256 authorized = logical.LePubKeyHash;

        if (enclave.IsInitialized) return LeafResult.GeneralProtection;

        Hash256 mrEnclave = enclave.Measurement.Current();
        Hash256 mrSigner = EnclaveSignature.MrSigner(in sig);

        SgxError refusal = CheckSigned(in sig, in secs, in mrEnclave, mrSigner == authorized);
        if (refusal != SgxError.SGX_SUCCESS) return LeafResult.FromError(refusal);

        refusal = (token.Valid & TokenValid) == 0
            ? mrSigner == authorized ? SgxError.SGX_SUCCESS : SgxError.SGX_INVALID_EINITTOKEN
            : CheckToken(processor, in authorized, in secs, in mrEnclave, in mrSigner, in token);
        if (refusal != SgxError.SGX_SUCCESS) return LeafResult.FromError(refusal);

        ref SecsPrivate own = ref processor.PrivateSecsOf(secsPage);
        own.IsvFamilyId = sig.IsvFamilyId;
        own.IsvExtProdId = sig.IsvExtProdId;
        secs.MrEnclave = mrEnclave;
        secs.MrSigner = mrSigner;
        secs.IsvProdId = sig.IsvProdId;
        secs.IsvSvn = sig.IsvSvn;
        secs.Attributes.Flags |= AttributeFlags.INIT;
        enclave.IsInitialized = true;
        enclave.Measurement.Dispose();
        return LeafResult.Ok;
    }

    /// <summary>Does the enclave look as its author signed it?</summary>
    private static SgxError CheckSigned(in SigStruct sig, in Secs secs, in Hash256 mrEnclave, bool isAuthorized)
    {
        SgxAttributes wanted = sig.Attributes & sig.AttributeMask;
        int wantedCet = sig.CetAttributes & sig.CetAttributesMask;
        MiscSelect wantedMisc = sig.MiscSelect & sig.MiscMask;
        bool isController = (secs.Attributes.Flags & ControlledAttributes) != 0;

        if (sig.EnclaveHash != mrEnclave) return SgxError.SGX_INVALID_MEASUREMENT;
        if (isController && !isAuthorized) return SgxError.SGX_INVALID_ATTRIBUTE;
        if ((secs.Attributes & sig.AttributeMask) != wanted) return SgxError.SGX_INVALID_ATTRIBUTE;
        if ((secs.CetAttributes & sig.CetAttributesMask) != wantedCet) return SgxError.SGX_INVALID_ATTRIBUTE;
        if ((secs.MiscSelect & sig.MiscMask) != wantedMisc) return SgxError.SGX_INVALID_ATTRIBUTE;
        return SgxError.SGX_SUCCESS;
    }

    private static SgxError CheckToken(
        SgxProcessor processor,
        in Hash256 authorized,
        in Secs secs,
        in Hash256 mrEnclave,
        in Hash256 mrSigner,
        in EInitToken token)
    {
        bool launcherIsDebug = (token.MaskedAttributesLe.Flags & AttributeFlags.DEBUG) != 0;
        bool enclaveIsDebug = (secs.Attributes.Flags & AttributeFlags.DEBUG) != 0;

        if (launcherIsDebug && !enclaveIsDebug) return SgxError.SGX_INVALID_EINITTOKEN;
        if (token.Valid != TokenValid) return SgxError.SGX_INVALID_EINITTOKEN;
        if (!Bytes.IsZero(in token.Reserved1)) return SgxError.SGX_INVALID_EINITTOKEN;
        if (!Bytes.IsZero(in token.Reserved2)) return SgxError.SGX_INVALID_EINITTOKEN;
        if (!Bytes.IsZero(in token.Reserved3)) return SgxError.SGX_INVALID_EINITTOKEN;
        if (!Bytes.IsZero(in token.Reserved4)) return SgxError.SGX_INVALID_EINITTOKEN;
        if (processor.Secrets.IsBeyondCpuSvn(in token.CpuSvnLe)) return SgxError.SGX_INVALID_CPUSVN;
        if (token.Mac != ExpectedMac(processor.Secrets, in authorized, in token)) return SgxError.SGX_INVALID_EINITTOKEN;
        if (token.MrEnclave != mrEnclave) return SgxError.SGX_INVALID_MEASUREMENT;
        if (token.MrSigner != mrSigner) return SgxError.SGX_INVALID_MEASUREMENT;
        if (token.Attributes != secs.Attributes) return SgxError.SGX_INVALID_ATTRIBUTE;
        return SgxError.SGX_SUCCESS;
    }

    /// <summary>
    /// The MAC that a launch enclave of the authorised signer would have made, under the key that EGETKEY gave it.
    /// </summary>
    private static Key128 ExpectedMac(PlatformSecrets secrets, in Hash256 authorized, in EInitToken token)
    {
        KeyDependencies dependencies = KeyDependencies.For(KeyName.EINITTOKEN_KEY);
        dependencies.IsvProdId = token.IsvProdIdLe;
        dependencies.IsvSvn = token.IsvSvnLe;
        dependencies.OwnerEpoch = Bytes16.From(secrets.OwnerEpoch);
        dependencies.Attributes = token.MaskedAttributesLe;
        dependencies.MrSigner = authorized;
        dependencies.KeyId = token.KeyId;
        dependencies.SealKeyFuses = Bytes16.From(secrets.RootSealKey);
        dependencies.CpuSvn = token.CpuSvnLe;
        dependencies.MiscSelect = token.MaskedMiscSelectLe;

        Key128 launchKey = secrets.DeriveKey(in dependencies);
        return AesCmac.Compute(launchKey.AsReadOnlySpan(), Bytes.Of(in token)[..EInitToken.AuthenticatedLength]);
    }
}
