using SoftSgx.Architecture;

namespace SoftSgx.Images.Tests.Writers;

/// <summary>Writes metadata blocks and enclaves of the Intel SDK.</summary>
internal sealed class SdkWriter
{
    internal const ulong Magic = 0x86A80294635D0E4C;
    private const int Data = 1904;

    private readonly ByteWriter _layout = new();
    private readonly ByteWriter _patches = new();
    private readonly ByteWriter _data = new();
    private readonly List<(int At, int Data)> _fixups = [];

    internal (uint Major, uint Minor) Version { get; init; } = (1, 4);

    internal ulong EnclaveSize { get; init; } = 0x100000;

    internal (ulong Image, ulong Start, ulong Size)? ElRange { get; init; }

    internal SigStruct Signature { get; init; } = Signatures.Plain();

    /// <summary>An entry of the layout table; contents with offset and size, or a fill.</summary>
    internal SdkWriter Entry(int id, int attributes, uint pages, ulong rva, ulong flags, uint fill = 0, byte[]? contents = null)
    {
        int at = _layout.Length;
        _layout.U16(at, id).U16(at + 2, attributes).U32(at + 4, pages).U64(at + 8, rva).U32(at + 16, fill).U32(at + 20, 0)
            .U64(at + 24, flags);
        if (contents is not null)
        {
            _layout.U32(at + 16, (uint)contents.Length);
            _fixups.Add((at + 20, _data.Append(contents, 8)));
        }

        return this;
    }

    internal SdkWriter Group(int entries, uint times, ulong step)
    {
        int at = _layout.Length;
        _layout.At(at, 32);
        _layout.U16(at, 9 | (1 << 12)).U16(at + 2, entries).U32(at + 4, times).U64(at + 8, step);
        return this;
    }

    /// <summary>Bytes of the file that the loader replaces.</summary>
    internal SdkWriter Patch(ulong destination, byte[] bytes)
    {
        int at = _patches.Length;
        _patches.At(at, 32);
        _patches.U64(at, destination).U32(at + 12, (uint)bytes.Length);
        _patchData.Add((at + 8, _data.Append(bytes, 8)));
        return this;
    }

    private readonly List<(int At, int Data)> _patchData = [];

    /// <summary>The usual layout: heap, and one thread with a group of more.</summary>
    internal SdkWriter Usual(ulong heap, uint moreThreads)
    {
        byte[] tcs = new ByteWriter().U64(16, 0x1000).U32(28, 2).U64(32, 0x1234).U64(48, 0x4000).U64(56, 0x4000).U32(64, uint.MaxValue)
            .U32(68, uint.MaxValue).ToArray();
        ulong thread = heap + 0x4000;
        Entry(1, 1, 4, heap, 0x203);
        Entry(10, 0, 1, thread, 0);
        Entry(8, 3, 2, thread + 0x1000, 0x203, fill: 0xCCCCCCCC);
        Entry(4, 3, 1, thread + 0x3000, 0x100, contents: tcs);
        Entry(6, 3, 2, thread + 0x4000, 0x203);
        Entry(5, 3, 1, thread + 0x6000, 0x203);
        return moreThreads == 0 ? this : Group(5, moreThreads, 0x7000);
    }

    internal byte[] Block()
    {
        ByteWriter block = new();
        block.At(0, Data);
        int elRange = 0;
        if (ElRange is { } range)
        {
            elRange = block.Append(new ByteWriter().U64(0, range.Image).U64(8, range.Start).U64(16, range.Size).ToArray(), 8);
        }

        int data = block.Append(_data.ToArray(), 8);
        foreach ((int at, int offset) in _fixups)
        {
            _layout.U32(at, (uint)(data + offset));
        }

        foreach ((int at, int offset) in _patchData)
        {
            _patches.U32(at, (uint)(data + offset));
        }

        int patches = block.Append(_patches.ToArray(), 8);
        int layout = block.Append(_layout.ToArray(), 8);
        block.U64(0, Magic).U32(8, Version.Minor).U32(12, Version.Major).U32(16, (uint)block.Length).U32(20, 1).U32(24, 1).U32(28, 2632)
            .U64(40, EnclaveSize)
            .U64(48, 6).U64(56, 3);
        SigStruct signature = Signature;
        block.Put(64, Bytes.Of(in signature));
        block.U32(1872, (uint)patches).U32(1876, (uint)_patches.Length).U32(1880, (uint)layout).U32(1884, (uint)_layout.Length);
        if (elRange != 0)
        {
            block.U32(1888, (uint)elRange).U32(1892, 24);
        }

        return block.ToArray();
    }

    /// <summary>A note with those blocks, and room behind them.</summary>
    internal static byte[] Note(params ReadOnlySpan<byte[]> blocks)
    {
        ByteWriter note = new();
        note.Put(12, SdkMetadata.NoteName);
        foreach (byte[] block in blocks)
        {
            note.Append(block);
        }

        note.Append(new byte[64]);
        return note.U32(0, 13).U32(4, (uint)(note.Length - 25)).U32(8, 1).ToArray();
    }

    /// <summary>Code at 0, data at 0x2800 that goes on in zeros, and the blocks.</summary>
    internal static byte[] Elf(params ReadOnlySpan<byte[]> blocks) => Elf([], blocks);

    internal static byte[] Elf((ulong Tag, ulong Value)[] dynamic, params ReadOnlySpan<byte[]> blocks)
    {
        ElfWriter elf = new();
        elf.Load("RX", 0, Pattern(0x1900, 1));
        elf.Load("RW", 0x2800, Pattern(0x900, 2), 0x2900);
        elf.Section(".note.sgxmeta", 7, Note(blocks));
        if (dynamic.Length > 0)
        {
            // A relocation in the first page of code, one that reaches from the second into a third.
            byte[] relocations = new ByteWriter().U64(0, 0x10).U64(8, 8).U64(24, 0x1ffc).U64(32, 8).U64(40, 0).U64(48, 0).ToArray();
            elf.Section(".rela.dyn", 4, relocations, 0x7000, 8, 24);
            ByteWriter entries = new();
            foreach ((ulong tag, ulong value) in dynamic)
            {
                int at = entries.Length;
                entries.U64(at, tag).U64(at + 8, value);
            }

            entries.At(entries.Length, 16);
            int offset = elf.Section(".dynamic", 6, entries.ToArray(), 0x8000, 8, 16);
            elf.Header(2, "RW", offset, 0x8000, entries.Length);
        }

        return elf.Build();
    }

    internal static byte[] Pattern(int length, int seed)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}

/// <summary>SIGSTRUCTs whose constants are right.</summary>
internal static class Signatures
{
    internal static SigStruct Plain()
    {
        SigStruct value = new()
        {
            Header = Bytes16.From(SigStruct.HeaderConstant),
            Header2 = Bytes16.From(SigStruct.Header2Constant),
            Date = 0x20240229,
            Exponent = SigStruct.RequiredExponent,
            IsvSvn = 3,
            IsvProdId = 7,
        };
        value.Attributes = new SgxAttributes(AttributeFlags.MODE64BIT, 3);
        value.AttributeMask = new SgxAttributes((AttributeFlags)ulong.MaxValue, 3);
        return value;
    }
}
