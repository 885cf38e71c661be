using System.Runtime.InteropServices;

namespace SoftSgx.Kernel.Tests;

/// <summary>A program's memory: a few mappings, everything else unmapped.</summary>
internal sealed class SimulatedMemory : IUserMemory
{
    private readonly List<Region> _regions = [];

    /// <summary>How often a mapping was looked up.</summary>
    public int Lookups { get; private set; }

    /// <summary>How often somebody asked whether a mapping was modified.</summary>
    public int ModifiedAsked { get; private set; }

    /// <summary>Pages read whole, that is, source pages.</summary>
    public int PageReads { get; private set; }

    /// <summary>A signal is pending once that many source pages were read.</summary>
    public int SignalAfterPageReads { get; set; } = int.MaxValue;

    /// <summary>Called before every copy.</summary>
    public Action<ulong>? OnAccess { get; set; }

    public bool IsSignalPending => PageReads >= SignalAfterPageReads;

    public Region Map(ulong start, int bytes, bool mayExecute = true)
    {
        var region = new Region { Start = start, Data = new byte[bytes], MayExecute = mayExecute };
        _regions.Add(region);
        return region;
    }

    public bool TryRead(ulong address, Span<byte> destination)
    {
        OnAccess?.Invoke(address);
        if (destination.Length == EpcPool.PageSize)
        {
            PageReads++;
        }

        for (int done = 0; done < destination.Length;)
        {
            Region? region = Find(unchecked(address + (ulong)done));
            if (region is null || !region.Readable)
            {
                return false;
            }

            int at = (int)(address + (ulong)done - region.Start);
            int count = Math.Min(region.Data.Length - at, destination.Length - done);
            region.Data.AsSpan(at, count).CopyTo(destination[done..]);
            done += count;
        }

        return true;
    }

    public bool TryWrite(ulong address, ReadOnlySpan<byte> source)
    {
        OnAccess?.Invoke(address);
        Region? region = Find(address);
        if (region is null || !region.Writable || region.End - address < (ulong)source.Length)
        {
            return false;
        }

        source.CopyTo(region.Data.AsSpan((int)(address - region.Start)));
        return true;
    }

    public SourceMapping FindMapping(ulong address)
    {
        Lookups++;
        Region? region = Find(address);
        return region is null ? default : new SourceMapping(region.Start, region.End, region.MayExecute) { Path = region.Path, IsPrivate = region.IsPrivate };
    }

    public bool IsModified(ulong address, ulong length)
    {
        ModifiedAsked++;
        return Find(address)!.IsModified;
    }

    public void Write<T>(ulong address, in T value)
        where T : unmanaged => Put(address, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));

    public T Read<T>(ulong address)
        where T : unmanaged
    {
        T value = default;
        Assert.True(TryRead(address, MemoryMarshal.AsBytes(new Span<T>(ref value))));
        return value;
    }

    public void Put(ulong address, ReadOnlySpan<byte> bytes)
    {
        Region region = Find(address)!;
        bytes.CopyTo(region.Data.AsSpan((int)(address - region.Start)));
    }

    private Region? Find(ulong address) => _regions.Find(r => address >= r.Start && address < r.End);

    internal sealed class Region
    {
        public required ulong Start { get; init; }

        public required byte[] Data { get; init; }

        public bool MayExecute { get; set; }

        public string? Path { get; set; }

        public bool IsPrivate { get; set; }

        public bool IsModified { get; set; }

        public bool Readable { get; set; } = true;

        public bool Writable { get; set; } = true;

        public ulong End => Start + (ulong)Data.Length;
    }
}

/// <summary>Open files: descriptor 7 is the provisioning device.</summary>
internal sealed class SimulatedFiles : IFileTable
{
    public const int ProvisionFd = 7;

    public List<int> Asked { get; } = [];

    public bool IsProvisionDevice(int fd)
    {
        Asked.Add(fd);
        return fd == ProvisionFd;
    }
}
