namespace SoftSgx.Images;

/// <summary>How two enclaves differ in pages of one name: "code", "heap". Counts are in pages unless they say bytes.</summary>
/// <param name="name">What the pages are.</param>
public sealed class RegionDifference(string name)
{
    /// <summary>What the pages are.</summary>
    public string Name { get; } = name;

    /// <summary>Offset in the enclave of the first page that differs, in bytes.</summary>
    public ulong Start { get; private set; } = ulong.MaxValue;

    /// <summary>Offset behind the last page that differs, in bytes.</summary>
    public ulong End { get; private set; }

    /// <summary>Pages that only the first enclave has.</summary>
    public ulong OnlyInFirst { get; internal set; }

    /// <summary>Pages that only the second enclave has.</summary>
    public ulong OnlyInSecond { get; internal set; }

    /// <summary>Pages of another type or with other permissions.</summary>
    public ulong Flags { get; internal set; }

    /// <summary>Pages of which not the same is measured.</summary>
    public ulong Measured { get; internal set; }

    /// <summary>Pages with other contents where they are measured.</summary>
    public ulong Contents { get; internal set; }

    /// <summary>Bytes that differ in those.</summary>
    public ulong Bytes { get; internal set; }

    /// <summary>Pages with other contents where neither enclave measures them: no difference of the measurement.</summary>
    public ulong UnmeasuredContents { get; internal set; }

    /// <summary>True if the measurement differs by them.</summary>
    public bool ChangesMeasurement => (OnlyInFirst | OnlyInSecond | Flags | Measured | Contents) != 0;

    internal bool IsEmpty => !ChangesMeasurement && UnmeasuredContents == 0;

    internal void Cover(ulong start, ulong pages)
    {
        Start = Math.Min(Start, start);
        End = Math.Max(End, start + (pages * PageContent.PageSize));
    }
}
