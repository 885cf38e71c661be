using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLU[EREPORT]: describes the enclave to another one on the same platform, authenticated by that one's report key.
/// SDM vol. 3D, EREPORT.
/// </summary>
public static class EReport
{
    private const uint TargetInfoAlignment = 512;
    private const uint ReportDataAlignment = 128;
    private const uint ReportAlignment = 512;

    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="logical">The logical processor, inside an enclave.</param>
    /// <param name="registers">RBX TARGETINFO, RCX REPORTDATA, RDX where the REPORT goes; none is changed.</param>
    /// <param name="space">The page tables.</param>
    /// <returns>Success, #GP(0) or #PF.</returns>
    public static LeafResult Execute(
        SgxProcessor processor, LogicalProcessor logical, ref RegisterFile registers, ILinearAddressSpace space)
    {
        ArgumentNullException.ThrowIfNull(processor);
        ArgumentNullException.ThrowIfNull(logical);
        ArgumentNullException.ThrowIfNull(space);

        if (!logical.InEnclave) return LeafResult.GeneralProtection;

        LeafResult result = EnclaveOperand.Find(
            processor, logical, space,
            registers.Rbx, TargetInfoAlignment, TargetInfo.Size, AccessKind.Read, out Span<byte> targetBytes);
        if (!result.IsSuccess) return result;

        TargetInfo target = MemoryMarshal.Read<TargetInfo>(targetBytes);
        if (!Bytes.IsZero(in target.Reserved1)) return LeafResult.GeneralProtection;
        if (!Bytes.IsZero(in target.Reserved2)) return LeafResult.GeneralProtection;
        if (!Bytes.IsZero(in target.Reserved3)) return LeafResult.GeneralProtection;

        result = EnclaveOperand.Find(
            processor, logical, space,
            registers.Rcx, ReportDataAlignment, Bytes64.Size, AccessKind.Read, out Span<byte> dataBytes);
        if (!result.IsSuccess) return result;

        result = EnclaveOperand.Find(
            processor, logical, space,
            registers.Rdx, ReportAlignment, Report.Size, AccessKind.Write, out Span<byte> output);
        if (!result.IsSuccess) return result;

        Report report = Describe(processor, logical.ActiveSecs);
        report.Body.ReportData = Bytes64.From(dataBytes);
        report.KeyId = Bytes32.From(processor.Secrets.ReportKeyId);

        KeyDependencies dependencies = EGetKey.ReportKey(processor.Secrets, in report.KeyId);
        dependencies.Attributes = target.Attributes;
        dependencies.MrEnclave = target.Measurement;
        dependencies.MiscSelect = target.MiscSelect;
        dependencies.ConfigId = target.ConfigId;
        dependencies.ConfigSvn = target.ConfigSvn;
        dependencies.CetAttributes = target.CetAttributes;

        Key128 key = processor.Secrets.DeriveKey(in dependencies);
        report.Mac = AesCmac.Compute(key.AsReadOnlySpan(), Bytes.Of(in report.Body));
        MemoryMarshal.Write(output, in report);
        return LeafResult.Ok;
    }

    private static Report Describe(SgxProcessor processor, int secsPage)
    {
        ref readonly Secs secs = ref processor.SecsOf(secsPage);
        ref SecsPrivate own = ref processor.PrivateSecsOf(secsPage);
        Report report = default;
        report.Body.CpuSvn = Bytes16.From(processor.Secrets.CpuSvn);
        report.Body.MiscSelect = secs.MiscSelect;
        report.Body.CetAttributes = secs.CetAttributes;
        report.Body.IsvExtProdId = own.IsvExtProdId;
        report.Body.Attributes = secs.Attributes;
        report.Body.MrEnclave = secs.MrEnclave;
        report.Body.MrSigner = secs.MrSigner;
        report.Body.ConfigId = secs.ConfigId;
        report.Body.IsvProdId = secs.IsvProdId;
        report.Body.IsvSvn = secs.IsvSvn;
        report.Body.ConfigSvn = secs.ConfigSvn;
        report.Body.IsvFamilyId = own.IsvFamilyId;
        return report;
    }
}
