using System.Security.Cryptography;
using SoftSgx.Architecture;

namespace SoftSgx.Processor.Model;

/// <summary>EREPORT, EGETKEY and key derivation. SDM vol. 3D, the pages of those names and table "Key derivation".</summary>
public sealed partial class ModelProcessor
{
    /// <summary>ENCLU[EREPORT].</summary>
    public Outcome EReport(ModelLogicalProcessor logical, ModelRegisters registers, PageTables tables)
    {
        if (Operand(logical, tables, registers[Register.Rbx], 512, write: false, out Memory<byte> targetBytes) is { } targetFault) return targetFault;
        TargetInfo target = Read<TargetInfo>(targetBytes);
        if (!Bytes.IsZero(in target.Reserved1) || !Bytes.IsZero(in target.Reserved2) || !Bytes.IsZero(in target.Reserved3)) return Outcome.GP;
        if (Operand(logical, tables, registers[Register.Rcx], 128, write: false, out Memory<byte> data) is { } dataFault) return dataFault;
        if (Operand(logical, tables, registers[Register.Rdx], 512, write: true, out Memory<byte> output) is { } outputFault) return outputFault;

        ModelEnclave enclave = logical.Enclave!;
        Secs secs = enclave.Secs;
        Report report = new()
        {
            Body = new ReportBody
            {
                CpuSvn = Bytes16.From(configuration.CpuSvn),
                MiscSelect = secs.MiscSelect,
                CetAttributes = secs.CetAttributes,
                IsvExtProdId = enclave.ExtProdId,
                IsvFamilyId = enclave.FamilyId,
                Attributes = secs.Attributes,
                MrEnclave = secs.MrEnclave,
                MrSigner = secs.MrSigner,
                ConfigId = secs.ConfigId,
                ConfigSvn = secs.ConfigSvn,
                IsvProdId = secs.IsvProdId,
                IsvSvn = secs.IsvSvn,
                ReportData = Bytes64.From(data.Span),
            },
            KeyId = Bytes32.From(configuration.ReportKeyId),
        };
        byte[] key = ReportKey(report.KeyId, target.Attributes, target.Measurement, target.MiscSelect, target.ConfigId, target.ConfigSvn, target.CetAttributes);
        report.Mac = Key128.From(Cmac.Of(key, Bytes.Of(in report.Body)));
        Bytes.Of(in report).CopyTo(output.Span);
        return Outcome.Ok;
    }

    /// <summary>ENCLU[EGETKEY].</summary>
    public Outcome EGetKey(ModelLogicalProcessor logical, ModelRegisters registers, PageTables tables)
    {
        if (Operand(logical, tables, registers[Register.Rbx], 512, write: false, out Memory<byte> requestBytes) is { } requestFault) return requestFault;
        if (Operand(logical, tables, registers[Register.Rcx], 16, write: true, out Memory<byte> output) is { } outputFault) return outputFault;

        KeyRequest request = Read<KeyRequest>(requestBytes);
        ModelEnclave enclave = logical.Enclave!;
        Secs secs = enclave.Secs;
        bool kss = secs.Attributes.Flags.HasFlag(AttributeFlags.KSS);
        if (!Bytes.IsZero(in request.Reserved1) || !Bytes.IsZero(in request.Reserved2)) return Outcome.GP;
        if (((int)request.KeyPolicy & 0xFFC0) != 0) return Outcome.GP;
        if (!kss && (((int)request.KeyPolicy & 0x3C) != 0 || request.ConfigSvn != 0)) return Outcome.GP;

        AttributeFlags needed = request.KeyName switch
        {
            KeyName.EINITTOKEN_KEY => AttributeFlags.EINITTOKEN_KEY,
            KeyName.PROVISION_KEY or KeyName.PROVISION_SEAL_KEY => AttributeFlags.PROVISIONKEY,
            _ => 0,
        };
        if (request.KeyName is not (KeyName.SEAL_KEY or KeyName.REPORT_KEY or KeyName.EINITTOKEN_KEY or KeyName.PROVISION_KEY or KeyName.PROVISION_SEAL_KEY))
        {
            return Return(registers, SgxError.SGX_INVALID_KEYNAME);
        }

        if (request.KeyName != KeyName.REPORT_KEY)
        {
            if (!secs.Attributes.Flags.HasFlag(needed)) return Return(registers, SgxError.SGX_INVALID_ATTRIBUTE);
            if (IsBeyondCpuSvn(request.CpuSvn.AsReadOnlySpan())) return Return(registers, SgxError.SGX_INVALID_CPUSVN);
            if (request.IsvSvn > secs.IsvSvn) return Return(registers, SgxError.SGX_INVALID_ISVSVN);

            // The pseudo-code asks this for the seal key, the table of return codes for every key that CONFIGSVN can enter.
            bool configurable = request.KeyName is KeyName.SEAL_KEY or KeyName.PROVISION_SEAL_KEY;
            if (configurable && request.ConfigSvn > secs.ConfigSvn) return Return(registers, SgxError.SGX_INVALID_ISVSVN);
        }

        KeyOf(enclave, in request).CopyTo(output.Span);
        return Return(registers, SgxError.SGX_SUCCESS);
    }

    /// <summary>The MAC that a token must have on a processor whose IA32_SGXLEPUBKEYHASH is that.</summary>
    public Key128 TokenMac(Hash256 authorized, in EInitToken token)
    {
        byte[] key = Derive(new KeyMaterial
        {
            Name = KeyName.EINITTOKEN_KEY,
            IsvProdId = token.IsvProdIdLe,
            IsvSvn = token.IsvSvnLe,
            OwnerEpoch = Bytes16.From(configuration.OwnerEpoch),
            Attributes = token.MaskedAttributesLe,
            MrSigner = authorized,
            KeyId = token.KeyId,
            SealFuses = Bytes16.From(configuration.SealFuses),
            CpuSvn = token.CpuSvnLe,
            Misc = token.MaskedMiscSelectLe,
        });
        return Key128.From(Cmac.Of(key, Bytes.Of(in token)[..192]));
    }

    private byte[] KeyOf(ModelEnclave enclave, in KeyRequest request)
    {
        Secs secs = enclave.Secs;
        if (request.KeyName == KeyName.REPORT_KEY)
        {
            return ReportKey(request.KeyId, secs.Attributes, secs.MrEnclave, secs.MiscSelect, secs.ConfigId, secs.ConfigSvn, secs.CetAttributes);
        }

        // The manual's table, column by column.
        bool seal = request.KeyName == KeyName.SEAL_KEY;
        bool provision = request.KeyName == KeyName.PROVISION_KEY;
        bool provisionSeal = request.KeyName == KeyName.PROVISION_SEAL_KEY;
        bool token = request.KeyName == KeyName.EINITTOKEN_KEY;
        bool byPolicy = seal || provisionSeal;
        KeyPolicy policy = byPolicy ? request.KeyPolicy : 0;
        SgxAttributes mask = new(request.AttributeMask.Flags | AttributeFlags.INIT | AttributeFlags.DEBUG, request.AttributeMask.Xfrm);
        return Derive(new KeyMaterial
        {
            Name = request.KeyName,
            IsvProdId = policy.HasFlag(KeyPolicy.NOISVPRODID) ? (ushort)0 : secs.IsvProdId,
            IsvSvn = request.IsvSvn,
            OwnerEpoch = seal || token ? Bytes16.From(configuration.OwnerEpoch) : default,
            Attributes = mask & secs.Attributes,
            AttributesMask = token ? default : request.AttributeMask,
            MrEnclave = seal && policy.HasFlag(KeyPolicy.MRENCLAVE) ? secs.MrEnclave : default,
            MrSigner = !seal || policy.HasFlag(KeyPolicy.MRSIGNER) ? secs.MrSigner : default,
            KeyId = seal || token ? request.KeyId : default,
            SealFuses = provision ? default : Bytes16.From(configuration.SealFuses),
            CpuSvn = request.CpuSvn,
            Misc = request.MiscMask & secs.MiscSelect,
            MiscMask = token ? default : ~request.MiscMask,
            Policy = policy,
            ConfigId = policy.HasFlag(KeyPolicy.CONFIGID) ? secs.ConfigId : default,
            ConfigSvn = policy.HasFlag(KeyPolicy.CONFIGID) ? request.ConfigSvn : (ushort)0,
            FamilyId = policy.HasFlag(KeyPolicy.ISVFAMILYID) ? enclave.FamilyId : default,
            ExtProdId = policy.HasFlag(KeyPolicy.ISVEXTPRODID) ? enclave.ExtProdId : default,
            Cet = (byte)(request.CetAttributesMask & secs.CetAttributes),
            CetMask = token ? (byte)0 : request.CetAttributesMask,
        });
    }

    private byte[] ReportKey(
        Bytes32 keyId, SgxAttributes attributes, Hash256 measurement, MiscSelect misc, Bytes64 configId, ushort configSvn, byte cet) =>
        Derive(new KeyMaterial
        {
            Name = KeyName.REPORT_KEY,
            OwnerEpoch = Bytes16.From(configuration.OwnerEpoch),
            Attributes = attributes,
            MrEnclave = measurement,
            KeyId = keyId,
            SealFuses = Bytes16.From(configuration.SealFuses),
            CpuSvn = Bytes16.From(configuration.CpuSvn),
            Misc = misc,
            ConfigId = configId,
            ConfigSvn = configSvn,
            Cet = cet,
        });

    private byte[] Derive(KeyMaterial material) => Cmac.Of(configuration.RootKey, material.ToArray());

    private bool IsBeyondCpuSvn(ReadOnlySpan<byte> asked)
    {
        for (int i = 0; i < asked.Length; i++)
        {
            if (asked[i] > configuration.CpuSvn[i]) return true;
        }

        return false;
    }
}

/// <summary>KEYDEPENDENCIES. What they are is the manual's, how they are written one after another is this platform's.</summary>
public sealed record KeyMaterial
{
    internal KeyName Name;
    internal ushort IsvProdId;
    internal ushort IsvSvn;
    internal Bytes16 OwnerEpoch;
    internal SgxAttributes Attributes;
    internal SgxAttributes AttributesMask;
    internal Hash256 MrEnclave;
    internal Hash256 MrSigner;
    internal Bytes32 KeyId;
    internal Bytes16 SealFuses;
    internal Bytes16 CpuSvn;
    internal MiscSelect Misc;
    internal MiscSelect MiscMask;
    internal KeyPolicy Policy;
    internal Bytes64 ConfigId;
    internal ushort ConfigSvn;
    internal Bytes16 FamilyId;
    internal Bytes16 ExtProdId;
    internal byte Cet;
    internal byte CetMask;

    /// <summary>The bytes that the key is a CMAC of.</summary>
    public byte[] ToArray()
    {
        byte[] padding =
        [
            0x00, 0x01, .. Enumerable.Repeat((byte)0xFF, 330),
            0x00, .. Convert.FromHexString("3031300d060960864801650304020105000420"),
        ];
        return
        [
            .. Bytes.Of(in Name), .. Bytes.Of(in IsvProdId), .. Bytes.Of(in IsvSvn), .. Bytes.Of(in OwnerEpoch),
            .. Bytes.Of(in Attributes), .. Bytes.Of(in AttributesMask), .. Bytes.Of(in MrEnclave), .. Bytes.Of(in MrSigner),
            .. Bytes.Of(in KeyId), .. Bytes.Of(in SealFuses), .. Bytes.Of(in CpuSvn), .. padding,
            .. Bytes.Of(in Misc), .. Bytes.Of(in MiscMask), .. Bytes.Of(in Policy), .. Bytes.Of(in ConfigId),
            .. Bytes.Of(in ConfigSvn), .. Bytes.Of(in FamilyId), .. Bytes.Of(in ExtProdId), Cet, CetMask,
        ];
    }
}

/// <summary>AES-CMAC, block by block. RFC 4493.</summary>
public static class Cmac
{
    /// <summary>The MAC of <paramref name="message"/>.</summary>
    public static byte[] Of(byte[] key, ReadOnlySpan<byte> message)
    {
        using Aes aes = Aes.Create();
        aes.Key = key;
        byte[] first = Double(aes.EncryptEcb(new byte[16], PaddingMode.None));
        bool whole = message.Length > 0 && message.Length % 16 == 0;
        byte[] padded = new byte[whole ? message.Length : (message.Length / 16 * 16) + 16];
        message.CopyTo(padded);
        if (!whole)
        {
            padded[message.Length] = 0x80;
        }

        byte[] last = whole ? first : Double(first);
        for (int i = 0; i < 16; i++)
        {
            padded[padded.Length - 16 + i] ^= last[i];
        }

        return aes.EncryptCbc(padded, new byte[16], PaddingMode.None)[^16..];
    }

    private static byte[] Double(byte[] block)
    {
        byte[] twice = new byte[16];
        for (int i = 0; i < 16; i++)
        {
            twice[i] = (byte)(block[i] << 1 | (i < 15 ? block[i + 1] >> 7 : 0));
        }

        twice[15] ^= (byte)(block[0] >> 7 == 0 ? 0 : 0x87);
        return twice;
    }
}
