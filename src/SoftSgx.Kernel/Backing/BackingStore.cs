using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>
/// Where an enclave's pages are while they are out of the EPC, and what the file of it looks like.
/// Behaviour: sgx_encl_get_backing, sgx_encl_truncate_backing_page in arch/x86/kernel/cpu/sgx/encl.c.
/// </summary>
/// <remarks>
/// <code>
///   0            size          size + 4096
///   | page 0 … n-1 | SECS page | PCMD of page 0 … n-1, of the SECS | : (size + 4096) × 33/32 bytes
/// </code>
/// A PCMD has 128 bytes, 32 of them are a page. Loading a page gives its backing page back, and the PCMD page too when none of its 32
/// PCMDs is in use. The file comes into being with the first eviction. The enclave's lock guards all of it.
/// </remarks>
/// <param name="platform">Where the file comes from.</param>
internal sealed class BackingStore(IEpcPlatform platform)
{
    private const int PcmdsPerPage = EpcPool.PageSize / Pcmd.Size;

    private readonly Dictionary<ulong, uint> _pcmdsInUse = []; // by PCMD page, a bit for each
    private ulong _size;
    private IBackingFile? _file;

    /// <summary>Index of the SECS, behind the enclave's pages.</summary>
    public ulong SecsIndex => _size / EpcPool.PageSize;

    /// <summary>Bytes that the file holds.</summary>
    public long Bytes { get; private set; }

    /// <summary>The most bytes that the file held.</summary>
    public long PeakBytes { get; private set; }

    /// <summary>Sets the enclave's size in bytes.</summary>
    public void SetSize(ulong size) => _size = size;

    /// <summary>Keeps a page.</summary>
    /// <param name="index">Index of the page, or <see cref="SecsIndex"/>.</param>
    /// <param name="contents">4096 bytes, encrypted.</param>
    /// <param name="pcmd">What goes with them.</param>
    /// <returns><see langword="false"/>, with nothing kept, if there is no memory.</returns>
    public bool TryStore(ulong index, ReadOnlySpan<byte> contents, in Pcmd pcmd)
    {
        _file ??= platform.CreateBacking((_size + EpcPool.PageSize) / 32 * 33);
        if (_file is null || !_file.TryWrite(index * EpcPool.PageSize, contents))
        {
            return false;
        }

        if (!_file.TryWrite(PcmdOffset(index), MemoryMarshal.AsBytes(new ReadOnlySpan<Pcmd>(in pcmd))))
        {
            _file.Truncate(index * EpcPool.PageSize, EpcPool.PageSize);
            return false;
        }

        ref uint inUse = ref CollectionsMarshal.GetValueRefOrAddDefault(_pcmdsInUse, index / PcmdsPerPage, out _);
        Bytes += inUse == 0 ? 2 * EpcPool.PageSize : EpcPool.PageSize;
        PeakBytes = Math.Max(PeakBytes, Bytes);
        inUse |= Bit(index);
        return true;
    }

    /// <summary>Reads a page that is kept.</summary>
    /// <param name="index">Index of the page, or <see cref="SecsIndex"/>.</param>
    /// <param name="contents">4096 bytes to read into.</param>
    /// <param name="pcmd">What goes with them.</param>
    /// <returns><see langword="false"/> if they cannot be read.</returns>
    public bool TryLoad(ulong index, Span<byte> contents, out Pcmd pcmd)
    {
        pcmd = default;
        return _file is not null
            && _file.TryRead(index * EpcPool.PageSize, contents)
            && _file.TryRead(PcmdOffset(index), MemoryMarshal.AsBytes(new Span<Pcmd>(ref pcmd)));
    }

    /// <summary>Forgets a page that is kept.</summary>
    /// <param name="index">Index of the page, or <see cref="SecsIndex"/>.</param>
    public void Drop(ulong index)
    {
        _file!.Truncate(index * EpcPool.PageSize, EpcPool.PageSize);
        Bytes -= EpcPool.PageSize;
        ref uint inUse = ref CollectionsMarshal.GetValueRefOrNullRef(_pcmdsInUse, index / PcmdsPerPage);
        inUse &= ~Bit(index);
        if (inUse == 0)
        {
            _pcmdsInUse.Remove(index / PcmdsPerPage);
            _file.Truncate(PcmdOffset(index) / EpcPool.PageSize * EpcPool.PageSize, EpcPool.PageSize);
            Bytes -= EpcPool.PageSize;
        }
    }

    /// <summary>Gives everything back: the enclave is gone.</summary>
    public void Release()
    {
        _file?.Dispose();
        _file = null;
        _pcmdsInUse.Clear();
        Bytes = 0;
    }

    private static uint Bit(ulong index) => 1U << (int)(index % PcmdsPerPage);

    private ulong PcmdOffset(ulong index) => _size + EpcPool.PageSize + (index * Pcmd.Size);
}
