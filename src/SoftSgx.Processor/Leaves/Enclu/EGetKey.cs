using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLU[EGETKEY]: derives a key that belongs to this enclave on this platform.
/// SDM vol. 3D, EGETKEY.
/// </summary>
public static class EGetKey
{
    private const uint KeyRequestAlignment = 512;
    private const uint KeyAlignment = 16;

    /// <summary>Attributes that every key but the report key depends on, whatever the request's mask says.</summary>
    private const AttributeFlags RequiredSealing = AttributeFlags.INIT | AttributeFlags.DEBUG;

    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="logical">The logical processor, inside an enclave.</param>
    /// <param name="registers">
    /// In: RBX KEYREQUEST, RCX where the key goes. Out: RAX the error code, ZF whether there is one.
    /// </param>
    /// <param name="space">The page tables.</param>
    /// <returns>
    /// Success, #GP(0) or #PF, or
    /// <see cref="SgxError.SGX_INVALID_ATTRIBUTE"/>: the enclave may not have that key;
    /// <see cref="SgxError.SGX_INVALID_CPUSVN"/>, <see cref="SgxError.SGX_INVALID_ISVSVN"/>: a version beyond the present one;
    /// <see cref="SgxError.SGX_INVALID_KEYNAME"/>: no such key.
    /// </returns>
    public static LeafResult Execute(
        SgxProcessor processor, LogicalProcessor logical, ref RegisterFile registers, ILinearAddressSpace space)
    {
        ArgumentNullException.ThrowIfNull(processor);
        ArgumentNullException.ThrowIfNull(logical);
        ArgumentNullException.ThrowIfNull(space);

        if (!logical.InEnclave) return LeafResult.GeneralProtection;

        LeafResult result = EnclaveOperand.Find(
            processor, logical, space,
            registers.Rbx, KeyRequestAlignment, KeyRequest.Size, AccessKind.Read, out Span<byte> requestBytes);
        if (!result.IsSuccess) return result;

        result = EnclaveOperand.Find(
            processor, logical, space,
            registers.Rcx, KeyAlignment, Key128.Size, AccessKind.Write, out Span<byte> output);
        if (!result.IsSuccess) return result;

        KeyRequest request = MemoryMarshal.Read<KeyRequest>(requestBytes);
        ref readonly Secs secs = ref processor.SecsOf(logical.ActiveSecs);
        bool kss = (secs.Attributes.Flags & AttributeFlags.KSS) != 0;

        if (!Bytes.IsZero(in request.Reserved1)) return LeafResult.GeneralProtection;
        if (!Bytes.IsZero(in request.Reserved2)) return LeafResult.GeneralProtection;
        if ((request.KeyPolicy & KeyPolicy.ReservedMask) != 0) return LeafResult.GeneralProtection;
        if (!kss && (request.KeyPolicy & KeyPolicy.KssMask) != 0) return LeafResult.GeneralProtection;
        if (!kss && request.ConfigSvn != 0) return LeafResult.GeneralProtection;

        SgxError error = Check(processor.Secrets, in request, in secs);
        result = Enclu.Return(ref registers, error);
        if (!result.IsSuccess) return result;

        ref readonly SecsPrivate own = ref processor.PrivateSecsOf(logical.ActiveSecs);
        KeyDependencies dependencies = Depend(processor.Secrets, in request, in secs, in own);
        processor.Secrets.DeriveKey(in dependencies).AsReadOnlySpan().CopyTo(output);
        return LeafResult.Ok;
    }

    /// <summary>What every report key depends on; the identity of the enclave that owns the key is still to be filled in.</summary>
    internal static KeyDependencies ReportKey(PlatformSecrets secrets, in Bytes32 keyId)
    {
        KeyDependencies dependencies = KeyDependencies.For(KeyName.REPORT_KEY);
        dependencies.OwnerEpoch = Bytes16.From(secrets.OwnerEpoch);
        dependencies.KeyId = keyId;
        dependencies.SealKeyFuses = Bytes16.From(secrets.RootSealKey);
        dependencies.CpuSvn = Bytes16.From(secrets.CpuSvn);
        return dependencies;
    }

    private static SgxError Check(PlatformSecrets secrets, in KeyRequest request, in Secs secs)
    {
        AttributeFlags? needed = request.KeyName switch
        {
            KeyName.SEAL_KEY or KeyName.REPORT_KEY => AttributeFlags.None,
            KeyName.EINITTOKEN_KEY => AttributeFlags.EINITTOKEN_KEY,
            KeyName.PROVISION_KEY or KeyName.PROVISION_SEAL_KEY => AttributeFlags.PROVISIONKEY,
            _ => null,
        };

        if (needed is null) return SgxError.SGX_INVALID_KEYNAME;
        if (request.KeyName == KeyName.REPORT_KEY) return SgxError.SGX_SUCCESS;
        if ((secs.Attributes.Flags & needed.Value) != needed.Value) return SgxError.SGX_INVALID_ATTRIBUTE;
        if (secrets.IsBeyondCpuSvn(in request.CpuSvn)) return SgxError.SGX_INVALID_CPUSVN;
        if (request.IsvSvn > secs.IsvSvn) return SgxError.SGX_INVALID_ISVSVN;
        if (TakesPolicy(request.KeyName) && request.ConfigSvn > secs.ConfigSvn) return SgxError.SGX_INVALID_ISVSVN;
        return SgxError.SGX_SUCCESS;
    }

    private static bool TakesPolicy(KeyName name) => name is KeyName.SEAL_KEY or KeyName.PROVISION_SEAL_KEY;

    /// <summary>The table "Key derivation" of the manual, one row a case.</summary>
    private static KeyDependencies Depend(PlatformSecrets secrets, in KeyRequest request, in Secs secs, in SecsPrivate own)
    {
        if (request.KeyName == KeyName.REPORT_KEY)
        {
            KeyDependencies report = ReportKey(secrets, in request.KeyId);
            report.Attributes = secs.Attributes;
            report.MrEnclave = secs.MrEnclave;
            report.MiscSelect = secs.MiscSelect;
            report.ConfigId = secs.ConfigId;
            report.ConfigSvn = secs.ConfigSvn;
            report.CetAttributes = secs.CetAttributes;
            return report;
        }

        KeyDependencies key = KeyDependencies.For(request.KeyName);
        key.IsvSvn = request.IsvSvn;
        key.CpuSvn = request.CpuSvn;
        SgxAttributes mask = new(request.AttributeMask.Flags | RequiredSealing, request.AttributeMask.Xfrm);
        key.Attributes = mask & secs.Attributes;
        key.MiscSelect = request.MiscMask & secs.MiscSelect;
        key.CetAttributes = (byte)(request.CetAttributesMask & secs.CetAttributes);

        switch (request.KeyName)
        {
            case KeyName.SEAL_KEY:
                if ((request.KeyPolicy & KeyPolicy.MRENCLAVE) != 0) key.MrEnclave = secs.MrEnclave;
                if ((request.KeyPolicy & KeyPolicy.MRSIGNER) != 0) key.MrSigner = secs.MrSigner;
                ApplyPolicy(ref key, in request, in secs, in own);
                ApplyMasks(ref key, in request);
                key.OwnerEpoch = Bytes16.From(secrets.OwnerEpoch);
                key.KeyId = request.KeyId;
                key.SealKeyFuses = Bytes16.From(secrets.RootSealKey);
                break;

            case KeyName.EINITTOKEN_KEY:
                key.IsvProdId = secs.IsvProdId;
                key.MrSigner = secs.MrSigner;
                key.OwnerEpoch = Bytes16.From(secrets.OwnerEpoch);
                key.KeyId = request.KeyId;
                key.SealKeyFuses = Bytes16.From(secrets.RootSealKey);
                break;

            case KeyName.PROVISION_KEY:
                key.IsvProdId = secs.IsvProdId;
                key.MrSigner = secs.MrSigner;
                ApplyMasks(ref key, in request);
                break;

            default:
                key.MrSigner = secs.MrSigner;
                ApplyPolicy(ref key, in request, in secs, in own);
                ApplyMasks(ref key, in request);
                key.SealKeyFuses = Bytes16.From(secrets.RootSealKey);
                break;
        }

        return key;
    }

    private static void ApplyPolicy(ref KeyDependencies key, in KeyRequest request, in Secs secs, in SecsPrivate own)
    {
        key.KeyPolicy = request.KeyPolicy;
        if ((request.KeyPolicy & KeyPolicy.NOISVPRODID) == 0) key.IsvProdId = secs.IsvProdId;
        if ((request.KeyPolicy & KeyPolicy.ISVFAMILYID) != 0) key.IsvFamilyId = own.IsvFamilyId;
        if ((request.KeyPolicy & KeyPolicy.ISVEXTPRODID) != 0) key.IsvExtProdId = own.IsvExtProdId;
        if ((request.KeyPolicy & KeyPolicy.CONFIGID) != 0)
        {
            key.ConfigId = secs.ConfigId;
            key.ConfigSvn = request.ConfigSvn;
        }
    }

    private static void ApplyMasks(ref KeyDependencies key, in KeyRequest request)
    {
        key.AttributesMask = request.AttributeMask;
        key.MiscMask = ~request.MiscMask;
        key.CetAttributesMask = request.CetAttributesMask;
    }
}
