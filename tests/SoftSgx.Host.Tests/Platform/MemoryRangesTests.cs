using SoftSgx.Architecture;
using SoftSgx.Host.Platform;

namespace SoftSgx.Host.Tests.Platform;

/// <summary>The memory map that firmware would enumerate.</summary>
public sealed class MemoryRangesTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("softsgx-map-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void The_EPC_is_reserved_and_in_its_place()
    {
        IReadOnlyList<MemoryRange> map = MemoryRanges.Of([new EpcSection(0x2000_0000_0000, 0x1000), new EpcSection(0x2080_0000_0000, 0x2000)], out _);
        Assert.Equal(
            [new MemoryRange(0x2000_0000_0000, 0x2000_0000_0FFF, "reserved", true), new MemoryRange(0x2080_0000_0000, 0x2080_0000_1FFF, "reserved", true)],
            map.Where(static range => range.IsEpc));
        Assert.Equal(map.OrderBy(static range => range.First), map);
    }

    [Fact]
    public void The_firmwares_own_map()
    {
        foreach ((string name, string start, string end, string type) in new[] { ("0", "0x0", "0x9fbff", "System RAM"), ("1", "0xfe000000", "0xfeffffff", "Reserved"), ("2", "x", "0x1", "Reserved") })
        {
            DirectoryInfo entry = _folder.CreateSubdirectory(name);
            File.WriteAllText(Path.Combine(entry.FullName, "start"), start + "\n");
            File.WriteAllText(Path.Combine(entry.FullName, "end"), end + "\n");
            File.WriteAllText(Path.Combine(entry.FullName, "type"), type + "\n");
        }
        Assert.Equal(
            [new MemoryRange(0, 0x9fbff, "usable", false), new MemoryRange(0xfe00_0000, 0xfeff_ffff, "reserved", false)],
            MemoryRanges.FirmwareMap(_folder.FullName).OrderBy(static range => range.First));
        Assert.Empty(MemoryRanges.FirmwareMap(Path.Combine(_folder.FullName, "none")));
    }

    [Fact]
    public void The_kernels_resources()
    {
        string file = Path.Combine(_folder.FullName, "iomem");
        File.WriteAllText(file, "00000000-00000fff : Reserved\n00001000-0009fbff : System RAM\n  00002000-00003000 : Kernel code\n000a0000-000bffff : PCI Bus 0000:00\nbad\n");
        Assert.Equal([new MemoryRange(0, 0xfff, "reserved", false), new MemoryRange(0x1000, 0x9fbff, "usable", false)], MemoryRanges.Resources(file));
        File.WriteAllText(file, "00000000-00000000 : System RAM\n"); // as others than root see it
        Assert.Empty(MemoryRanges.Resources(file));
    }
}
