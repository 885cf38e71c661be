using System.Numerics;
using SoftSgx.Kernel;

namespace SoftSgx.Simulation;

/// <summary>
/// The frames of a simulated EPC. With contents every page in use has 4,096 bytes of its own; without, only SECS, TCS and VA pages
/// have, and all REG pages share one dummy that nobody reads.
/// </summary>
/// <remarks>
/// Frames hang in chunks of 64 pages that exist when one of them is needed, so the memory follows what exists. Contents that are
/// "undefined" or "forgotten" are filled with a pattern: whoever relies on them is found out. Thread-safe as the kernel calls it.
/// </remarks>
public sealed class SimulatedEpc : IEpcPlatform
{
    /// <summary>What a frame is full of before anybody writes it, or after it was taken away.</summary>
    public const byte Undefined = 0xCC;

    private const int ChunkBits = 6;
    private const int ChunkMask = (1 << ChunkBits) - 1;

    private readonly byte[]?[]?[] _chunks;
    private readonly byte[]? _shared;
    private readonly Stack<byte[]> _idle = new();
    private readonly Lock _lock = new();
    private int _frames;
    private long _backingBytes;

    /// <summary>Makes an EPC without any frame.</summary>
    /// <param name="pages">Number of EPC pages.</param>
    /// <param name="withContents">Every REG page has contents of its own.</param>
    public SimulatedEpc(int pages, bool withContents)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(pages);
        _chunks = new byte[]?[((pages - 1) >> ChunkBits) + 1][];
        _shared = withContents ? null : new byte[EpcPool.PageSize];
        Pages = pages;
    }

    /// <summary>Number of EPC pages.</summary>
    public int Pages { get; }

    /// <summary>REG pages have contents.</summary>
    public bool WithContents => _shared is null;

    /// <summary>Frames in use; the shared dummy is none.</summary>
    public int FrameCount => Volatile.Read(ref _frames);

    /// <summary>Makes the backing file of an enclave; set by tests that put an attacker there.</summary>
    public Func<IBackingFile, IBackingFile>? WrapBacking { get; set; }

    /// <summary>Bytes that all backing files hold, as <see cref="MemoryBackingFile"/> and <see cref="CompactBackingFile"/> count them.</summary>
    public long BackingBytes => Interlocked.Read(ref _backingBytes);

    /// <inheritdoc/>
    public Span<byte> Frame(int page)
    {
        byte[]?[]? chunk = Volatile.Read(ref _chunks[page >> ChunkBits]);
        return chunk?[page & ChunkMask] ?? _shared ?? throw new InvalidOperationException($"EPC page {page} has no frame.");
    }

    /// <inheritdoc/>
    public void AttachPrivate(int epcPage) => Attach(epcPage, NewFrame());

    /// <inheritdoc/>
    public void DetachPrivate(int epcPage) => Recycle(Detach(epcPage));

    /// <inheritdoc/>
    public IBackingFile? CreateBacking(ulong bytes)
    {
        // A backing file has room for the enclave, its SECS and 1/32 of that for PCMDs; the enclave's size is a power of two.
        ulong enclaveSize = 1UL << BitOperations.Log2(bytes / 33 * 32);
        IBackingFile file = WithContents ? new MemoryBackingFile(this) : new CompactBackingFile(this, enclaveSize);
        return WrapBacking?.Invoke(file) ?? file;
    }

    /// <summary>A backing file holds more, or less.</summary>
    internal void AddBackingBytes(long bytes) => Interlocked.Add(ref _backingBytes, bytes);

    /// <summary>A frame of undefined contents that belongs to no page.</summary>
    internal byte[] NewFrame()
    {
        lock (_lock)
        {
            if (_idle.TryPop(out byte[]? idle))
            {
                return idle;
            }
        }

        byte[] frame = GC.AllocateUninitializedArray<byte>(EpcPool.PageSize);
        frame.AsSpan().Fill(Undefined);
        return frame;
    }

    /// <summary>Forgets the contents of a frame that belongs to no page any more.</summary>
    internal void Recycle(byte[] frame)
    {
        frame.AsSpan().Fill(Undefined);
        lock (_lock)
        {
            _idle.Push(frame);
        }
    }

    /// <summary>Gives a page a frame.</summary>
    internal void Attach(int epcPage, byte[] frame)
    {
        lock (_lock)
        {
            byte[]?[] chunk = _chunks[epcPage >> ChunkBits] ??= new byte[ChunkMask + 1][];
            ref byte[]? place = ref chunk[epcPage & ChunkMask];
            if (place is not null)
            {
                throw new InvalidOperationException($"EPC page {epcPage} has a frame already.");
            }

            place = frame;
            _frames++;
        }
    }

    /// <summary>Takes a page's frame.</summary>
    internal byte[] Detach(int epcPage)
    {
        lock (_lock)
        {
            byte[]?[]? chunk = _chunks[epcPage >> ChunkBits];
            byte[] frame = chunk?[epcPage & ChunkMask] ?? throw new InvalidOperationException($"EPC page {epcPage} has no frame.");
            chunk[epcPage & ChunkMask] = null;
            _frames--;
            return frame;
        }
    }
}
