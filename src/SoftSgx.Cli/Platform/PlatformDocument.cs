using System.Globalization;
using System.Text.Json.Serialization;
using SoftSgx.Architecture;
using SoftSgx.Cli.Options;
using SoftSgx.Host.Platform;
using SoftSgx.Processor;

namespace SoftSgx.Cli.Platform;

/// <summary>What there is to say of a platform, secrets apart. Addresses and registers are hexadecimal text.</summary>
internal sealed record PlatformDocument(
    string Name,
    string? Fingerprint,
    string? File,
    string? Created,
    string CpuSvn,
    bool OwnerEpochIsSet,
    string LaunchControl,
    string? WhyNoDevice,
    IReadOnlyList<CpuidDocument> Cpuid,
    IReadOnlyList<ProcessorDocument> Processors,
    IReadOnlyList<MemoryDocument> MemoryMap,
    string? MemoryMapIsPartial)
{
    /// <summary>Reads what there is to say.</summary>
    /// <param name="platform">The platform.</param>
    /// <param name="isMade">It has a seed already.</param>
    internal static PlatformDocument Of(PlatformIdentity platform, bool isMade)
    {
        ProcessorConfiguration configuration = HostProcessor.Configure(EpcOption.Of(platform), platform.Sgx1, platform.LaunchControl);
        SgxFeatures features = configuration.Features;
        return new PlatformDocument(
            platform.Name,
            isMade ? platform.Fingerprint : null,
            platform.File,
            Text(platform.Created),
            Convert.ToHexStringLower(platform.CpuSvn.Span),
            !platform.OwnerEpoch.IsEmpty,
            platform.LaunchControl.ToString(),
            Kernel.LaunchControl.WhyNoDevice(configuration),
            [.. Enumerable.Range(0, 2 + features.EpcSections.Length).Select(subLeaf => CpuidDocument.Of(features, (uint)subLeaf))],
            [.. ProcessorSurvey.Allowed().Select(number => ProcessorDocument.Of(number, configuration))],
            [.. MemoryRanges.Of(configuration.EpcSections, out string? partial).Select(MemoryDocument.Of)],
            partial);
    }

    /// <summary>A date as documents have it.</summary>
    internal static string? Text(DateTimeOffset? date) => date?.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
}

/// <summary>A sub-leaf of CPUID leaf 0x12, and what it means.</summary>
internal sealed record CpuidDocument(uint SubLeaf, string Eax, string Ebx, string Ecx, string Edx, string Meaning)
{
    internal static CpuidDocument Of(SgxFeatures features, uint subLeaf)
    {
        CpuidResult result = CpuidLeaf12.Compute(features, subLeaf);
        string meaning = subLeaf switch
        {
            0 => $"{Capabilities(features)}; MISCSELECT {features.MiscSelect}; "
                + $"enclaves up to 2^{features.MaxEnclaveSizeLog2Not64} bytes, 2^{features.MaxEnclaveSizeLog2_64} in 64-bit mode",
            1 => string.Create(CultureInfo.InvariantCulture, $"ATTRIBUTES {features.Attributes}; XFRM 0x{features.Xfrm:x}"),
            _ => Section(features.EpcSections[(int)subLeaf - 2]),
        };
        return new CpuidDocument(subLeaf, Hex(result.Eax), Hex(result.Ebx), Hex(result.Ecx), Hex(result.Edx), meaning);
    }

    private static string Section(EpcSection section) =>
        string.Create(CultureInfo.InvariantCulture, $"EPC of {ByteSize.Format((long)section.Size)} at 0x{section.PhysicalBase:x}");

    private static string Capabilities(SgxFeatures features)
    {
        (bool Has, string Name)[] all =
        [
            (features.Sgx1, "SGX1"), (features.Sgx2, "SGX2"), (features.Enclv, "ENCLV"), (features.Oversub, "OVERSUB-C"),
            (features.EVerifyReport2, "EVERIFYREPORT2"), (features.EUpdateSvn, "EUPDATESVN"), (features.EDecCssa, "EDECCSSA"),
        ];
        return string.Join(", ", all.Where(static feature => feature.Has).Select(static feature => feature.Name));
    }

    private static string Hex(uint value) => string.Create(CultureInfo.InvariantCulture, $"0x{value:x8}");
}

/// <summary>The MSRs of a logical processor as firmware leaves them; the hash is null where RDMSR of it faults.</summary>
internal sealed record ProcessorDocument(
    int Number, string FeatureControl, string FeatureControlMeaning, IReadOnlyList<string>? LePubKeyHash)
{
    internal static ProcessorDocument Of(int number, ProcessorConfiguration configuration)
    {
        LogicalProcessor logical = new(configuration);
        List<string> hash = [];
        for (uint msr = Msr.IA32_SGXLEPUBKEYHASH0; msr <= Msr.IA32_SGXLEPUBKEYHASH3; msr++)
        {
            if (logical.ReadMsr(configuration, msr, out ulong value).IsSuccess)
            {
                hash.Add(string.Create(CultureInfo.InvariantCulture, $"0x{value:x16}"));
            }
        }
        _ = logical.ReadMsr(configuration, Msr.IA32_FEATURE_CONTROL, out ulong control);
        return new ProcessorDocument(
            number,
            string.Create(CultureInfo.InvariantCulture, $"0x{control:x}"),
            ((FeatureControl)control).ToString(),
            hash.Count > 0 ? hash : null);
    }
}

/// <summary>A range of physical memory.</summary>
internal sealed record MemoryDocument(string First, string Last, string Type, bool IsEpc)
{
    internal static MemoryDocument Of(MemoryRange range) => new(
        string.Create(CultureInfo.InvariantCulture, $"0x{range.First:x16}"),
        string.Create(CultureInfo.InvariantCulture, $"0x{range.Last:x16}"),
        range.Type,
        range.IsEpc);
}

/// <summary>A platform in the list; only name and problem are there if it is damaged.</summary>
internal sealed record PlatformLine(
    string Name,
    string? Fingerprint,
    string? CpuSvn,
    string? LaunchControl,
    bool? Sgx1,
    string? Epc,
    string? Created,
    string? File,
    string? Problem);

/// <summary>Writes the documents without reflection.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(PlatformDocument))]
[JsonSerializable(typeof(IReadOnlyList<PlatformLine>))]
internal sealed partial class PlatformDocumentJson : JsonSerializerContext;
