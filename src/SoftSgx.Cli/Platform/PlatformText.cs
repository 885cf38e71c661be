using System.Globalization;
using System.Text;

namespace SoftSgx.Cli.Platform;

/// <summary>Platforms for people.</summary>
internal static class PlatformText
{
    /// <summary>One platform, several lines.</summary>
    internal static string Write(PlatformDocument platform)
    {
        StringBuilder text = new();
        Line(text, $"platform {platform.Name}");
        Item(text, "fingerprint", platform.Fingerprint ?? "none yet: its first run makes it");
        Item(text, "kept in", platform.File ?? "nothing yet");
        if (platform.Created is not null)
        {
            Item(text, "made", platform.Created);
        }
        Item(text, "CPUSVN", platform.CpuSvn);
        Item(text, "owner epoch", platform.OwnerEpochIsSet ? "set" : "follows from the fuses");
        Item(text, "launch control", platform.LaunchControl);
        if (platform.WhyNoDevice is not null)
        {
            Item(text, "no device", platform.WhyNoDevice);
        }
        Line(text, $"\nCPUID leaf 0x12");
        foreach (CpuidDocument leaf in platform.Cpuid)
        {
            Line(text, $"  {leaf.SubLeaf}  eax={leaf.Eax} ebx={leaf.Ebx} ecx={leaf.Ecx} edx={leaf.Edx}");
            Line(text, $"     {leaf.Meaning}");
        }
        Line(text, $"\nMSRs as firmware leaves them");
        foreach (ProcessorDocument processor in platform.Processors)
        {
            string hash = processor.LePubKeyHash is null ? "not there" : string.Join(' ', processor.LePubKeyHash);
            string control = $"{processor.FeatureControl} ({processor.FeatureControlMeaning})";
            Line(text, $"  processor {processor.Number}: IA32_FEATURE_CONTROL {control}");
            Line(text, $"    IA32_SGXLEPUBKEYHASH0-3 {hash}");
        }
        Line(text, $"\nmemory map");
        foreach (MemoryDocument range in platform.MemoryMap)
        {
            Line(text, $"  [mem {range.First}-{range.Last}] {range.Type}{(range.IsEpc ? " (EPC)" : "")}");
        }
        if (platform.MemoryMapIsPartial is not null)
        {
            Line(text, $"  ({platform.MemoryMapIsPartial})");
        }
        return text.ToString();
    }

    /// <summary>A line for each platform.</summary>
    internal static string Write(IReadOnlyList<PlatformLine> platforms)
    {
        if (platforms.Count == 0)
        {
            return "There is no platform yet. The first run makes the default one; softsgx platform init NAME makes others.\n";
        }
        StringBuilder text = new();
        int width = Math.Max("name".Length, platforms.Max(static platform => platform.Name.Length));
        Line(text, $"{"name".PadRight(width)}  fingerprint       CPUSVN                            launch control");
        foreach (PlatformLine platform in platforms)
        {
            string features = (platform.Sgx1 == true ? ", SGX1 only" : "") + (platform.Epc is null ? "" : $", EPC {platform.Epc}");
            string what = platform.Problem ?? $"{platform.Fingerprint}  {platform.CpuSvn}  {platform.LaunchControl}{features}";
            Line(text, $"{platform.Name.PadRight(width)}  {what}");
        }
        return text.ToString();
    }

    private static void Item(StringBuilder text, string name, string value) => Line(text, $"  {name,-15} {value}");

    private static void Line(StringBuilder text, FormattableString line) =>
        text.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
