using System.Numerics;

namespace SoftSgx.Simulation;

/// <summary>
/// The page-table entries of one address space for one enclave: present and Accessed, and with contents also writable and the frame.
/// </summary>
/// <remarks>
/// <para>
/// Chunks of 4,096 entries that exist when one of them was used: two bits an entry without contents. A directory that grows with the
/// largest index in use finds them.
/// </para>
/// <para>Not thread-safe: <see cref="SimulatedAddressSpace"/> guards it.</para>
/// </remarks>
internal sealed class PageTable(bool withFrames)
{
    private const int ChunkBits = 12;
    private const int ChunkPages = 1 << ChunkBits;
    private const int WordBits = 6;
    private const int WordMask = (1 << WordBits) - 1;

    private Chunk?[] _chunks = [];

    /// <summary>Number of present entries.</summary>
    public long Present { get; private set; }

    /// <summary>An access: if the entry is present, sets Accessed.</summary>
    /// <param name="page">Page index in the enclave.</param>
    /// <returns><see langword="false"/> if it is not present: a page fault.</returns>
    public bool Touch(ulong page)
    {
        Chunk? chunk = Find(page);
        if (chunk is null)
        {
            return false;
        }

        int word = Word(page);
        ulong bit = Bit(page);
        if ((chunk.Present[word] & bit) == 0)
        {
            return false;
        }

        chunk.Accessed[word] |= bit;
        return true;
    }

    /// <summary>The entry is present.</summary>
    public bool IsPresent(ulong page) => Find(page) is { } chunk && (chunk.Present[Word(page)] & Bit(page)) != 0;

    /// <summary>The entry is present and may be written through.</summary>
    public bool IsWritable(ulong page) => Find(page)?.Writable is { } writable && (writable[Word(page)] & Bit(page)) != 0;

    /// <summary>The frame of a present entry.</summary>
    public byte[] FrameOf(ulong page) => Find(page)!.Frames![page & (ChunkPages - 1)]!;

    /// <summary>Makes an entry present and writable, Accessed cleared.</summary>
    /// <param name="page">Page index.</param>
    /// <param name="frame">Its contents, if there are any.</param>
    public void Enter(ulong page, byte[]? frame)
    {
        Chunk chunk = FindOrAdd(page);
        int word = Word(page);
        ulong bit = Bit(page);
        if ((chunk.Present[word] & bit) == 0)
        {
            Present++;
        }

        chunk.Present[word] |= bit;
        chunk.Accessed[word] &= ~bit;
        if (chunk.Frames is not null)
        {
            chunk.Writable![word] |= bit;
            chunk.Frames[page & (ChunkPages - 1)] = frame;
        }
    }

    /// <summary>Makes an entry not present.</summary>
    public void Clear(ulong page)
    {
        Chunk? chunk = Find(page);
        if (chunk is null || (chunk.Present[Word(page)] & Bit(page)) == 0)
        {
            return;
        }

        Present--;
        chunk.Present[Word(page)] &= ~Bit(page);
        chunk.Accessed[Word(page)] &= ~Bit(page);
        if (chunk.Frames is not null)
        {
            chunk.Writable![Word(page)] &= ~Bit(page);
            chunk.Frames[page & (ChunkPages - 1)] = null;
        }
    }

    /// <summary>Makes all entries not present.</summary>
    public void ClearAll()
    {
        _chunks = [];
        Present = 0;
    }

    /// <summary>Takes the right to write away.</summary>
    public void WriteProtect(ulong page)
    {
        if (Find(page)?.Writable is { } writable)
        {
            writable[Word(page)] &= ~Bit(page);
        }
    }

    /// <summary>Tests and clears Accessed.</summary>
    public bool TestAndClearAccessed(ulong page)
    {
        Chunk? chunk = Find(page);
        if (chunk is null)
        {
            return false;
        }

        ref ulong word = ref chunk.Accessed[Word(page)];
        bool accessed = (word & Bit(page)) != 0;
        word &= ~Bit(page);
        return accessed;
    }

    private static int Word(ulong page) => (int)(page >> WordBits) & ((ChunkPages >> WordBits) - 1);

    private static ulong Bit(ulong page) => 1UL << (int)(page & WordMask);

    private Chunk? Find(ulong page)
    {
        Chunk?[] chunks = _chunks;
        ulong index = page >> ChunkBits;
        return index < (ulong)chunks.Length ? chunks[index] : null;
    }

    private Chunk FindOrAdd(ulong page)
    {
        ulong index = page >> ChunkBits;
        if (index >= (ulong)_chunks.Length)
        {
            Array.Resize(ref _chunks, checked((int)BitOperations.RoundUpToPowerOf2(index + 1)));
        }

        return _chunks[index] ??= new Chunk(withFrames);
    }

    private sealed class Chunk(bool withFrames)
    {
        public readonly ulong[] Present = new ulong[ChunkPages >> WordBits];
        public readonly ulong[] Accessed = new ulong[ChunkPages >> WordBits];
        public readonly ulong[]? Writable = withFrames ? new ulong[ChunkPages >> WordBits] : null;
        public readonly byte[]?[]? Frames = withFrames ? new byte[ChunkPages][] : null;
    }
}
