using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor.Model;

/// <summary>
/// The whole processor as maps and small records. Every leaf is one method that reads like its page in the manual:
/// check, check, check, commit. It runs one leaf at a time, so nothing conflicts.
/// </summary>
public sealed partial class ModelProcessor(ModelConfiguration configuration)
{
    private const ulong PageSize = 4096;
    private const SecInfoFlags RW = SecInfoFlags.R | SecInfoFlags.W;

    private ulong _nextEid = configuration.FirstEid;

    // A version stands in bits 63:3 of its slot: EDBGRD looks at those alone to tell whether a slot is in use.
    private ulong _nextVersion = 8;

    /// <summary>What the processor can do.</summary>
    public ModelConfiguration Configuration => configuration;

    /// <summary>The EPCM: the valid pages.</summary>
    public SortedDictionary<int, ModelEntry> Epcm { get; } = [];

    /// <summary>Contents of the valid pages. That of a SECS is in its <see cref="ModelEnclave"/>.</summary>
    public Dictionary<int, byte[]> Contents { get; } = [];

    /// <summary>Every logical processor of the package.</summary>
    public List<ModelLogicalProcessor> LogicalProcessors { get; } = [];

    /// <summary>Pages of <paramref name="enclave"/> in the EPC, its SECS not counted.</summary>
    public int ChildCount(ModelEnclave enclave) => Epcm.Values.Count(entry => entry.IsChild && entry.Enclave == enclave);

    /// <summary>Logical processors inside <paramref name="enclave"/>.</summary>
    public int ThreadsInside(ModelEnclave enclave) => LogicalProcessors.Count(logical => logical.Enclave == enclave);

    /// <summary>The TCS in that page.</summary>
    public ref Tcs TcsAt(int page) => ref MemoryMarshal.AsRef<Tcs>(Contents[page].AsSpan());

    private bool IsEpc(int page) => page >= 0 && page < configuration.Pages;

    private ModelEntry? EntryOf(int page) => Epcm.GetValueOrDefault(page);

    private bool IsSecs(int page) => EntryOf(page) is { Type: PageType.PT_SECS };

    /// <summary>Has every thread that may still hold a translation from before the change left, and does the processor know?</summary>
    private bool IsTracked(ModelEntry entry)
    {
        if (entry.ChangedInEpoch is not { } epoch)
        {
            return true;
        }

        return entry.Enclave!.Epoch > epoch
            && !LogicalProcessors.Any(logical => logical.Enclave == entry.Enclave && logical.EntryEpoch <= epoch);
    }

    private void Free(int page)
    {
        if (EntryOf(page) is { Type: PageType.PT_SECS } entry)
        {
            entry.Enclave!.SecsPage = null;
        }

        Epcm.Remove(page);
        Contents.Remove(page);
    }

    private bool IsReservedZero(in SecInfo secInfo)
    {
        const SecInfoFlags OfSgx2 = SecInfoFlags.PENDING | SecInfoFlags.MODIFIED | SecInfoFlags.PR;
        SecInfoFlags defined = SecInfoFlags.RWX | SecInfoFlags.PageTypeMask | (configuration.Sgx2 ? OfSgx2 : 0);
        return (secInfo.Flags & ~defined) == 0 && MemoryMarshal.AsBytes(new ReadOnlySpan<SecInfo>(in secInfo))[8..].IndexOfAnyExcept((byte)0) < 0;
    }

    private static PageType TypeIn(SecInfoFlags flags) => (PageType)((ulong)flags >> 8 & 0xFF);

    private static bool Canonical(ulong address) => (long)address >> 47 is 0 or -1;
}
