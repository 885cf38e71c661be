using System.Buffers.Binary;
using System.Globalization;
using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>
/// Reads enclaves of the Open Enclave SDK: shared objects with a section .oeinfo, whose pages are the segments, the relocations, a heap,
/// and for each thread a stack, a TCS, two SSA frames and its data.
/// Open Enclave SDK, host/sgx/create.c (oe_sgx_build_enclave), loadelf.c, elf.c.
/// </summary>
internal sealed class OpenEnclaveReader
{
    private const ulong Page = PageContent.PageSize;
    private const uint SsaFrameSize = 1;
    private const ulong ControlPages = 4;
    private const ulong SsaFrames = 2;
    private const SecInfoFlags ReadWrite = SecInfoFlags.R | SecInfoFlags.W;
    private const uint StackFill = 0xCCCCCCCC;
    private const ulong RelocationSize = 24;

    private readonly ElfFile _elf;
    private readonly OpenEnclaveProperties _properties;
    private readonly OpenEnclaveRelease _release;
    private readonly ElfSection _info;
    private readonly ulong _imageSize;
    private readonly byte[] _relocations;
    private readonly ulong _tlsPages;

    private OpenEnclaveReader(ElfFile elf, ElfSection info, OpenEnclaveProperties properties, OpenEnclaveRelease release)
    {
        _elf = elf;
        _info = info;
        _properties = properties;
        _release = release;
        _imageSize = ImageSize();
        _relocations = Relocations();
        _tlsPages = release.HasThreadLocalPages ? ThreadLocalPages() : 1;
    }

    internal static EnclaveImage Read(ElfFile elf, ElfSection info)
    {
        const string Format = "Open Enclave image (ELF)";
        if (!elf.Is64 || elf.Machine != ElfFile.MachineX64 || elf.Type != ElfFile.TypeShared)
        {
            throw new ImageException(16, "an Open Enclave image is a 64-bit shared object for x86-64");
        }

        OpenEnclaveProperties properties = OpenEnclaveProperties.Read(elf, info);
        List<string> notes = [];
        if (properties.Signature is null)
        {
            notes.Add("It is not signed: a loader signs it with a key that everybody has, in debug mode only.");
        }

        if (Module(elf) is { } module)
        {
            notes.Add(
                $"It is linked to {FactList.Printable(module)}, whose pages are part of the enclave: there is no layout without "
                    + "that file.");
            return Image(Format, properties, elf, notes, []);
        }

        List<ImageVariant> variants = [];
        foreach (OpenEnclaveRelease release in OpenEnclaveRelease.Of(elf, properties))
        {
            variants.Add(new OpenEnclaveReader(elf, info, properties, release).Lay());
        }

        if (variants.Count > 1)
        {
            notes.Add($"The image does not say which release of Open Enclave loads it; shown is {variants[0].Name}, the likeliest.");
        }

        return Image(Format, properties, elf, notes, variants);
    }

    private static EnclaveImage Image(
        string format, OpenEnclaveProperties properties, ElfFile elf, List<string> notes, List<ImageVariant> variants) =>
        new()
    {
        Format = format,
        Kind = ImageKind.OpenEnclave,
        Layout = variants.Count > 0 ? variants[0].Layout : null,
        Reserved = variants.Count > 0 ? variants[0].Reserved : [],
        Signature = properties.Signature,
        SignatureOffset = properties.Signature is null ? 0 : (long)(properties.FileOffset + properties.SignatureOffset),
        Variants = variants.Count > 1 ? variants : [],
        Facts = [elf.Facts(), properties.Facts()],
        Notes = notes,
    };

    // The module of another file that the enclave is linked to, if any.
    private static string? Module(ElfFile elf)
    {
        IReadOnlyDictionary<ulong, ulong> dynamic = elf.Dynamic();
        if (!dynamic.TryGetValue(ElfDynamic.Needed, out ulong name) || !dynamic.TryGetValue(ElfDynamic.StringTable, out ulong table))
        {
            return null;
        }

        ElfSection? strings = elf.Sections.FirstOrDefault(section => section.Address == table && section.Type == ElfSection.TypeStrings);
        return strings is null || name >= strings.Size
            ? "another file"
            : elf.Bytes.Name(
                strings.FileOffset + name, strings.FileOffset + Math.Min(strings.Size, elf.Bytes.Length), "the name of a library");
    }

    private ImageVariant Lay()
    {
        ulong relocationPages = (ulong)_relocations.Length / Page;
        ulong threadPages = 1 + _properties.StackPages + 1 + ControlPages + _tlsPages + 1;
        ulong end = CheckedEnd(relocationPages, threadPages);
        ulong shift = _properties.IsZeroBased ? _properties.StartAddress : 0;
        ulong size = RoundUpToPower(end + shift);
        LayoutBuilder.CheckSize(size, (long)_properties.FileOffset + 8);
        LayoutBuilder builder = new(size, SsaFrameSize);
        AddImage(builder, shift, Patches(RoundUpToPower(end), end));
        ulong at = _imageSize;
        if (relocationPages > 0)
        {
            Add(
                builder, shift + at, relocationPages, SecInfoFlags.R, true, PageContent.Of(_relocations), "relocations",
                PageUse.Relocations);
            at += relocationPages * Page;
        }

        Add(builder, shift + at, _properties.HeapPages, ReadWrite, false, PageContent.Zero, "heap", PageUse.Heap);
        at += _properties.HeapPages * Page;
        for (ulong thread = 0; thread < _properties.Threads; thread++)
        {
            AddThread(builder, shift, at, thread);
            at += threadPages * Page;
        }

        if (end + shift < size)
        {
            builder.Reserve((long)_properties.FileOffset, end + shift, (size - end - shift) / Page, "unused", PageUse.Unknown);
        }

        return new ImageVariant
        {
            Name = _release.Name,
            Layout = builder.Build(),
            Reserved = builder.Reserved,
            Signature = _properties.Signature,
            SignatureOffset = (long)(_properties.FileOffset + _properties.SignatureOffset),
        };
    }

    private void AddThread(LayoutBuilder builder, ulong shift, ulong at, ulong thread)
    {
        string Of(string what) => string.Create(CultureInfo.InvariantCulture, $"{what} of thread {thread}");
        void Guard()
        {
            builder.Reserve((long)_properties.FileOffset, shift + at, 1, "guard", PageUse.Guard);
            at += Page;
        }

        Guard();
        Add(builder, shift + at, _properties.StackPages, ReadWrite, true, s_stack, Of("stack"), PageUse.Stack);
        at += _properties.StackPages * Page;
        Guard();
        builder.Add(
            (long)_properties.FileOffset,
            new PageRun(
                shift + at, 1, LayoutBuilder.Flags(PageType.PT_TCS, SecInfoFlags.None), PageRun.AllChunks, TcsPage(shift, at), Of("TCS"))
            {
                Use = PageUse.Tcs,
            });
        at += Page;
        Add(builder, shift + at, SsaFrames, ReadWrite, true, PageContent.Zero, Of("SSA"), PageUse.Ssa);
        at += SsaFrames * Page;
        Guard();
        Add(builder, shift + at, _tlsPages, ReadWrite, true, PageContent.Zero, Of("thread-local data"), PageUse.ThreadData);
        at += _tlsPages * Page;
        Add(builder, shift + at, 1, ReadWrite, true, PageContent.Zero, Of("thread data"), PageUse.ThreadData);
    }

    private static readonly PageContent s_stack = new FilledContent(StackFill);

    private TcsContent TcsPage(ulong shift, ulong at)
    {
        ulong threadData = shift + at + ((ControlPages + _tlsPages) * Page);
        Tcs tcs = new()
        {
            OSsa = shift + at + Page,
            NSsa = (uint)SsaFrames,
            OEntry = shift + _elf.Entry,
            OFsBase = threadData,
            OGsBase = _release.GsBeforeFs ? threadData - Page : threadData,
            FsLimit = uint.MaxValue,
            GsLimit = uint.MaxValue,
        };
        return new TcsContent(Bytes.Of(in tcs)[..TcsContent.FieldsLength].ToArray(), 0);
    }

    private void AddImage(LayoutBuilder builder, ulong shift, IReadOnlyList<(ulong Rva, byte[] Bytes)> patches)
    {
        // The loader stages the image first, so a page has the bytes of every segment that reaches into it, and the patches.
        List<ElfSegment> segments = [.. _elf.Segments.Where(static segment => segment.Type == ElfSegment.TypeLoad)];
        for (int i = 0; i < segments.Count; i++)
        {
            ElfSegment segment = segments[i];
            string name = string.Create(CultureInfo.InvariantCulture, $"segment {i}");
            if (segment.Permissions == SecInfoFlags.None)
            {
                throw new ImageException((long)segment.HeaderOffset, $"{name} has no permissions");
            }

            ElfSegment? before = i > 0 ? segments[i - 1] : null;
            if (before is not null
                && (before.Address >= segment.Address || before.Address + before.MemorySize > segment.Address / Page * Page))
            {
                throw new ImageException((long)segment.HeaderOffset, $"{name} overlaps the segment before it, or stands before it");
            }

            ulong first = segment.Address / Page;
            ulong end = (segment.Address + segment.MemorySize + Page - 1) / Page;
            Add(
                builder, shift + (first * Page), end - first, segment.Permissions, true,
                new StagedContent(_elf.Bytes, segments, patches, first), name, PageUse.Image);
        }
    }

    private void Add(
        LayoutBuilder builder, ulong offset, ulong pages, SecInfoFlags permissions, bool isMeasured, PageContent content, string name,
        PageUse use)
    {
        if (pages > 0)
        {
            ushort measured = isMeasured ? PageRun.AllChunks : (ushort)0;
            builder.Add(
                (long)_properties.FileOffset,
                new PageRun(offset, pages, LayoutBuilder.Flags(PageType.PT_REG, permissions), measured, content, name) { Use = use });
        }
    }

    // What the loader writes into the staged image: the properties' addresses, no signature, and the enclave's variables.
    private List<(ulong Rva, byte[] Bytes)> Patches(ulong size, ulong end)
    {
        List<(ulong Rva, byte[] Bytes)> patches = [];
        ulong relocationSize = (ulong)_relocations.Length;
        if (_release.ClearsElfHeader && _elf.Segments.FirstOrDefault(IsHeader) is { } header)
        {
            patches.Add((header.Address + 40, new byte[8]));
            patches.Add((header.Address + 60, new byte[4]));
        }

        byte[] info = new byte[OpenEnclaveProperties.ImageInfoSize];
        ReadOnlySpan<ulong> addresses = [
            _info.Address, _properties.Size, _imageSize, relocationSize, _imageSize + relocationSize, _release.TellsEnd ? end : size];
        for (int i = 0; i < addresses.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(info.AsSpan(i * sizeof(ulong)), addresses[i]);
        }

        patches.Add((_info.Address + _properties.ImageInfo, info));
        Set("_enclave_rva"u8, null, isNeeded: true);
        Set("_reloc_rva"u8, _imageSize, isNeeded: true);
        Set("_reloc_size"u8, relocationSize, isNeeded: true);
        if (Section(".tdata") is { Size: > 0 } data)
        {
            Set("_tdata_rva"u8, data.Address);
            Set("_tdata_size"u8, data.Size);
            Set("_tdata_align"u8, DataAlignment(data));
        }

        if (Section(".tbss") is { Size: > 0 } zeros)
        {
            Set("_tbss_size"u8, zeros.Size);
            Set("_tbss_align"u8, zeros.Alignment);
        }

        Set("_td_from_tcs_offset"u8, (ControlPages + _tlsPages) * Page);
        patches.Add((_info.Address + _properties.SignatureOffset, new byte[SigStruct.Size]));
        foreach ((ulong rva, byte[] bytes) in patches)
        {
            if (rva > _imageSize || (ulong)bytes.Length > _imageSize - rva)
            {
                throw new ImageException((long)_info.HeaderOffset, $"what the loader writes at {FactList.Hex(rva)} lies outside the image");
            }
        }

        return patches;

        void Set(ReadOnlySpan<byte> name, ulong? value, bool isNeeded = false)
        {
            ElfSymbol? symbol = _elf.Symbol(name, _release.HasDynamicSymbols ? ElfSection.TypeDynamicSymbols : ElfSection.TypeSymbols);
            if (symbol is { } found)
            {
                byte[] bytes = new byte[sizeof(ulong)];
                BinaryPrimitives.WriteUInt64LittleEndian(bytes, value ?? found.Value);
                patches.Add((found.Value, bytes));
            }
            else if (isNeeded)
            {
                throw new ImageException($"the image has no symbol {System.Text.Encoding.ASCII.GetString(name)}, which its loader sets");
            }
        }
    }

    private bool IsHeader(ElfSegment segment) =>
        segment is { Type: ElfSegment.TypeLoad, FileSize: >= 64 }
            && _elf.Bytes.Span(segment.FileOffset, 4, "a segment").SequenceEqual(ElfFile.Magic);

    private ElfSection? Section(string name) => _elf.Section(name);

    // With lld the section's alignment can differ from the segment's, by which the compiler goes; from 0.16 on the loader knows.
    private ulong DataAlignment(ElfSection data) =>
        _release.HasPltRelocations
            && _elf.Segments.FirstOrDefault(segment => segment.Type == ElfSegment.TypeTls && segment.Address == data.Address) is { } tls
            ? tls.Alignment
            : data.Alignment;

    private ulong ThreadLocalPages()
    {
        ulong size = 0;
        if (Section(".tdata") is { Size: > 0 } data)
        {
            size += RoundUp(data, data.Size, DataAlignment(data));
        }

        if (Section(".tbss") is { Size: > 0 } zeros)
        {
            size += RoundUp(zeros, zeros.Size, zeros.Alignment);
        }

        return (size + Page - 1) / Page;
    }

    private static ulong RoundUp(ElfSection section, ulong size, ulong alignment)
    {
        const ulong Most = 1UL << 40;
        return alignment is > 0 and < Most && size < Most
            ? (size + alignment - 1) / alignment * alignment
            : throw new ImageException(
                (long)section.HeaderOffset,
                $"the size {FactList.Hex(size)} or the alignment {FactList.Hex(alignment)} of {section.Name} makes no sense");
    }

    private ulong ImageSize()
    {
        ulong low = ulong.MaxValue;
        ulong high = 0;
        foreach (ElfSegment segment in _elf.Segments)
        {
            if (segment.FileSize > segment.MemorySize && segment.Type == ElfSegment.TypeLoad)
            {
                throw new ImageException((long)segment.HeaderOffset, "a segment has more bytes in the file than in memory");
            }

            if (segment.Type == ElfSegment.TypeLoad)
            {
                if (segment.Address > LayoutBuilder.MaximumSize || segment.MemorySize > LayoutBuilder.MaximumSize)
                {
                    throw new ImageException((long)segment.HeaderOffset, "a segment is larger than any enclave");
                }

                low = Math.Min(low, segment.Address);
                high = Math.Max(high, segment.Address + segment.MemorySize);
            }
        }

        return low == 0 && high > 0 ? (high + Page - 1) / Page * Page : throw new ImageException("its segments do not begin at address 0");
    }

    // The records of .rela.dyn and .rela.plt, filled up with zeros to whole pages; for a thread-local variable with its offset.
    private byte[] Relocations()
    {
        ReadOnlyMemory<byte> dynamic = Table(".rela.dyn");
        ReadOnlyMemory<byte> plt = _release.HasPltRelocations ? Table(".rela.plt") : default;
        if (dynamic.IsEmpty)
        {
            return [];
        }

        ulong length = (ulong)dynamic.Length + (ulong)plt.Length;
        byte[] relocations = new byte[(length + Page - 1) / Page * Page];
        dynamic.CopyTo(relocations);
        plt.CopyTo(relocations.AsMemory(dynamic.Length));
        for (int at = 0; at + (int)RelocationSize <= (int)length; at += (int)RelocationSize)
        {
            const uint TpOff64 = 18;
            ulong info = BinaryPrimitives.ReadUInt64LittleEndian(relocations.AsSpan(at + 8));
            if ((uint)info == TpOff64)
            {
                ElfSymbol? symbol = _elf.Section(".dynsym") is { } table ? _elf.SymbolAt(table, info >> 32) : null;
                BinaryPrimitives.WriteUInt64LittleEndian(
                    relocations.AsSpan(at + 16),
                    symbol is { } found
                        ? found.Value
                        : throw new ImageException($"a relocation names symbol {info >> 32}, which is not there"));
            }
        }

        return relocations;
    }

    private ReadOnlyMemory<byte> Table(string name)
    {
        if (_elf.Section(name) is not { } section)
        {
            return default;
        }

        return section.EntrySize == RelocationSize
            ? _elf.Contents(section)
            : throw new ImageException(
                (long)section.HeaderOffset, $"the entries of {name} have {section.EntrySize} bytes, not {RelocationSize}");
    }

    // Where the pages end, without an overflow that would make them look fewer.
    private ulong CheckedEnd(ulong relocationPages, ulong threadPages)
    {
        const ulong Most = LayoutBuilder.MaximumSize / Page;
        UInt128 threads = (UInt128)_properties.Threads * threadPages;
        UInt128 pages = (UInt128)(_imageSize / Page) + relocationPages + _properties.HeapPages + threads;
        if (_properties.StackPages > Most
            || _properties.Threads > Most
            || pages > Most
            || _properties.StartAddress > LayoutBuilder.MaximumSize
            || _properties.StartAddress % Page != 0)
        {
            throw new ImageException(
                (long)_properties.FileOffset + 8,
                "the properties ask for more pages than an enclave can have, or an unaligned start: heap "
                    + $"{FactList.Hex(_properties.HeapPages)}, stack {FactList.Hex(_properties.StackPages)}, threads "
                    + $"{FactList.Hex(_properties.Threads)}, start {FactList.Hex(_properties.StartAddress)}");
        }

        return (ulong)pages * Page;
    }

    private static ulong RoundUpToPower(ulong size) => System.Numerics.BitOperations.RoundUpToPowerOf2(size);

    // Pages of the staged image, from a page of it on.
    private sealed class StagedContent(
        ImageBytes file, List<ElfSegment> segments, IReadOnlyList<(ulong Rva, byte[] Bytes)> patches, ulong firstPage) : PageContent
    {
        public override bool IsUniform => false;

        public override void Read(ulong index, Span<byte> page)
        {
            page[..PageSize].Clear();
            ulong start = (firstPage + index) * Page;
            int low = 0;
            int high = segments.Count;
            while (low < high)
            {
                int middle = (low + high) / 2;
                if (segments[middle].Address + segments[middle].FileSize > start)
                {
                    high = middle;
                }
                else
                {
                    low = middle + 1;
                }
            }

            for (int i = low; i < segments.Count && segments[i].Address < start + Page; i++)
            {
                ReadOnlySpan<byte> bytes = file.Span(segments[i].FileOffset, segments[i].FileSize, "a segment");
                Copy(bytes, segments[i].Address, start, page);
            }

            foreach ((ulong rva, byte[] bytes) in patches)
            {
                Copy(bytes, rva, start, page);
            }
        }

        private static void Copy(ReadOnlySpan<byte> bytes, ulong at, ulong start, Span<byte> page)
        {
            ulong from = Math.Max(at, start);
            ulong to = Math.Min(at + (ulong)bytes.Length, start + Page);
            if (from < to)
            {
                bytes[(int)(from - at)..(int)(to - at)].CopyTo(page[(int)(from - start)..]);
            }
        }
    }
}
