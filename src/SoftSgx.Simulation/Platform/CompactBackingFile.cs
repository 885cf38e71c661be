using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using SoftSgx.Architecture;
using SoftSgx.Kernel;

namespace SoftSgx.Simulation;

/// <summary>
/// The backing file of an enclave whose pages have no contents. Of a PCMD it keeps what differs from page to page: ten bytes instead of
/// 128. Of a page it keeps nothing. What does not fit that, such as an evicted SECS, is kept byte for byte.
/// </summary>
/// <remarks>
/// <para>The file knows nothing of its own layout: a write of 128 bytes is a PCMD, one of 4,096 is a page.</para>
/// <code>
///   PCMD      SECINFO.FLAGS 8 | zero 56 | ENCLAVEID 8 | zero 40 | MAC 8 | zero 8
///   kept      bits 15:0 of it |         | once        |         | all   |
/// </code>
/// </remarks>
/// <param name="epc">Counts the pages that hold PCMDs, or are kept byte for byte.</param>
/// <param name="contentlessBytes">The enclave's size: what is written whole below that offset has no contents.</param>
public sealed class CompactBackingFile(SimulatedEpc epc, ulong contentlessBytes) : IBackingFile
{
    private const int PcmdsPerPage = EpcPool.PageSize / Pcmd.Size;
    private const int FlagsBits = 16;
    private const int EnclaveIdOffset = 64;
    private const int MacOffset = 112;

    private readonly Dictionary<ulong, PcmdPage> _pcmds = [];
    private readonly Dictionary<ulong, byte[]> _literal = [];
    private readonly Stack<PcmdPage> _idle = new();
    private ulong _enclaveId;
    private bool _hasEnclaveId;

    /// <inheritdoc/>
    public bool TryWrite(ulong offset, ReadOnlySpan<byte> data)
    {
        if (offset < contentlessBytes)
        {
            return true;
        }

        ulong page = offset / EpcPool.PageSize;
        if (data.Length == Pcmd.Size && !_literal.ContainsKey(page) && TryCompress(data, out ulong mac, out ushort flags))
        {
            PcmdPage pcmds = PageAt(page);
            int slot = (int)(offset % EpcPool.PageSize) / Pcmd.Size;
            pcmds.Macs[slot] = mac;
            pcmds.Flags[slot] = flags;
            return true;
        }

        data.CopyTo(Literal(page).AsSpan((int)(offset % EpcPool.PageSize)));
        return true;
    }

    /// <inheritdoc/>
    public bool TryRead(ulong offset, Span<byte> destination)
    {
        if (offset < contentlessBytes)
        {
            return true;
        }

        ulong page = offset / EpcPool.PageSize;
        int at = (int)(offset % EpcPool.PageSize);
        if (_literal.TryGetValue(page, out byte[]? literal))
        {
            literal.AsSpan(at, destination.Length).CopyTo(destination);
        }
        else if (_pcmds.TryGetValue(page, out PcmdPage? pcmds))
        {
            if (destination.Length == Pcmd.Size && at % Pcmd.Size == 0)
            {
                Expand(pcmds, at / Pcmd.Size, destination);
            }
            else
            {
                Whole(pcmds).AsSpan(at, destination.Length).CopyTo(destination);
            }
        }
        else
        {
            destination.Clear();
        }

        return true;
    }

    /// <inheritdoc/>
    public void Truncate(ulong offset, ulong length)
    {
        if (offset < contentlessBytes)
        {
            return;
        }

        for (ulong at = 0; at < length; at += EpcPool.PageSize)
        {
            ulong page = (offset + at) / EpcPool.PageSize;
            if (_pcmds.Remove(page, out PcmdPage? pcmds))
            {
                pcmds.Macs = default;
                pcmds.Flags = default;
                _idle.Push(pcmds);
                epc.AddBackingBytes(-EpcPool.PageSize);
            }
            else if (_literal.Remove(page))
            {
                epc.AddBackingBytes(-EpcPool.PageSize);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        epc.AddBackingBytes(-(long)EpcPool.PageSize * (_pcmds.Count + _literal.Count));
        _pcmds.Clear();
        _literal.Clear();
    }

    private bool TryCompress(ReadOnlySpan<byte> data, out ulong mac, out ushort flags)
    {
        mac = BinaryPrimitives.ReadUInt64LittleEndian(data[MacOffset..]);
        ulong allFlags = BinaryPrimitives.ReadUInt64LittleEndian(data);
        flags = (ushort)allFlags;
        ulong enclaveId = BinaryPrimitives.ReadUInt64LittleEndian(data[EnclaveIdOffset..]);
        bool isEmpty = (mac | allFlags | enclaveId) == 0;
        if (!isEmpty && !_hasEnclaveId)
        {
            _enclaveId = enclaveId;
            _hasEnclaveId = true;
        }

        // A MAC of zero would be indistinguishable from no PCMD; it comes once in 2^64.
        return (isEmpty || (enclaveId == _enclaveId && mac != 0))
            && allFlags >> FlagsBits == 0
            && data[sizeof(ulong)..EnclaveIdOffset].IndexOfAnyExcept((byte)0) < 0
            && data[(EnclaveIdOffset + sizeof(ulong))..MacOffset].IndexOfAnyExcept((byte)0) < 0
            && data[(MacOffset + sizeof(ulong))..].IndexOfAnyExcept((byte)0) < 0;
    }

    private void Expand(PcmdPage pcmds, int slot, Span<byte> destination)
    {
        destination.Clear();
        if (pcmds.Macs[slot] == 0)
        {
            return;
        }

        BinaryPrimitives.WriteUInt64LittleEndian(destination, pcmds.Flags[slot]);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[EnclaveIdOffset..], _enclaveId);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[MacOffset..], pcmds.Macs[slot]);
    }

    private byte[] Whole(PcmdPage pcmds)
    {
        byte[] whole = new byte[EpcPool.PageSize];
        for (int slot = 0; slot < PcmdsPerPage; slot++)
        {
            Expand(pcmds, slot, whole.AsSpan(slot * Pcmd.Size, Pcmd.Size));
        }

        return whole;
    }

    private PcmdPage PageAt(ulong page)
    {
        ref PcmdPage? place = ref CollectionsMarshal.GetValueRefOrAddDefault(_pcmds, page, out bool exists);
        if (!exists)
        {
            place = _idle.TryPop(out PcmdPage? idle) ? idle : new PcmdPage();
            epc.AddBackingBytes(EpcPool.PageSize);
        }

        return place!;
    }

    private byte[] Literal(ulong page)
    {
        if (!_literal.TryGetValue(page, out byte[]? literal))
        {
            if (_pcmds.Remove(page, out PcmdPage? pcmds))
            {
                literal = Whole(pcmds);
            }
            else
            {
                literal = new byte[EpcPool.PageSize];
                epc.AddBackingBytes(EpcPool.PageSize);
            }

            _literal.Add(page, literal);
        }

        return literal;
    }

    private sealed class PcmdPage
    {
        public MacSlots Macs;
        public FlagsSlots Flags;
    }

    [InlineArray(PcmdsPerPage)]
    private struct MacSlots
    {
        private ulong _first;
    }

    [InlineArray(PcmdsPerPage)]
    private struct FlagsSlots
    {
        private ushort _first;
    }
}
