using System.Globalization;
using SoftSgx.Architecture;

namespace SoftSgx.Host.Platform;

/// <summary>A range of physical memory as firmware enumerates it to an operating system.</summary>
/// <param name="First">Address of its first byte.</param>
/// <param name="Last">Address of its last byte.</param>
/// <param name="Type">What it is: usable, reserved, or another word of the operating system's.</param>
/// <param name="IsEpc">It is a section of the EPC.</param>
public readonly record struct MemoryRange(ulong First, ulong Last, string Type, bool IsEpc);

/// <summary>
/// The memory map of a platform: this machine's, as far as the kernel shows it, and the EPC. Firmware takes the EPC out of the memory that
/// an operating system may use: it is reserved in the map (e820), and CPUID leaf 0x12 alone says what it is.
/// </summary>
public static class MemoryRanges
{
    /// <summary>The map, ascending.</summary>
    /// <param name="epc">The sections of the EPC.</param>
    /// <param name="whyPartial">Why this machine's own ranges are missing; null if they are there.</param>
    public static IReadOnlyList<MemoryRange> Of(IReadOnlyList<EpcSection> epc, out string? whyPartial)
    {
        ArgumentNullException.ThrowIfNull(epc);
        List<MemoryRange> ranges = FirmwareMap("/sys/firmware/memmap");
        if (ranges.Count == 0)
        {
            ranges = Resources("/proc/iomem");
        }
        whyPartial = ranges.Count == 0 ? "this machine shows its own ranges to root only, or not at all" : null;
        foreach ((ulong first, ulong size) in epc)
        {
            ranges.Add(new MemoryRange(first, first + size - 1, "reserved", IsEpc: true));
        }
        ranges.Sort(static (a, b) => a.First.CompareTo(b.First));
        return ranges;
    }

    /// <summary>A folder for each range: files start, end and type (Documentation/ABI/testing/sysfs-firmware-memmap of Linux).</summary>
    internal static List<MemoryRange> FirmwareMap(string folder)
    {
        List<MemoryRange> ranges = [];
        try
        {
            if (!Directory.Exists(folder))
            {
                return ranges;
            }
            foreach (string entry in Directory.EnumerateDirectories(folder))
            {
                string Field(string name) => File.ReadAllText(Path.Combine(entry, name)).Trim();
                if (TryParse(Field("start"), out ulong first) && TryParse(Field("end"), out ulong last) && first <= last)
                {
                    ranges.Add(new MemoryRange(first, last, TypeOf(Field("type")), IsEpc: false));
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
        return ranges;
    }

    /// <summary>
    /// The lines without indentation: <c>00100000-bfffffff : System RAM</c>. Without CAP_SYS_ADMIN all addresses are zero.
    /// </summary>
    internal static List<MemoryRange> Resources(string file)
    {
        List<MemoryRange> ranges = [];
        try
        {
            foreach (string line in File.ReadLines(file))
            {
                int dash = line.IndexOf('-', StringComparison.Ordinal), colon = line.IndexOf(" : ", StringComparison.Ordinal);
                if (line.StartsWith(' ') || dash < 0 || colon < dash
                    || !TryParse(line[..dash], out ulong first) || !TryParse(line[(dash + 1)..colon], out ulong last) || last == 0)
                {
                    continue;
                }
                string type = line[(colon + 3)..];
                if (type is "System RAM" or "Reserved" or "ACPI Tables" or "ACPI Non-volatile Storage")
                {
                    ranges.Add(new MemoryRange(first, last, TypeOf(type), IsEpc: false));
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
        return ranges;
    }

    /// <summary>The words of the kernel's own listing of an e820 map.</summary>
    private static string TypeOf(string name) => name switch
    {
        "System RAM" => "usable",
        "Reserved" or "reserved" => "reserved",
        "ACPI Tables" => "ACPI data",
        "ACPI Non-volatile Storage" => "ACPI NVS",
        _ => name,
    };

    private static bool TryParse(string text, out ulong value)
    {
        ReadOnlySpan<char> digits = text.StartsWith("0x", StringComparison.Ordinal) ? text.AsSpan(2) : text;
        return ulong.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }
}
