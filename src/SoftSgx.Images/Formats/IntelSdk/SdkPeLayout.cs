using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Reflection.PortableExecutable;
using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>
/// Lays an enclave out as the loader of the Intel SDK for Windows does. Its source is not public; what it does is described in Fortanix's
/// doc/WINTEL-SGX-ABI.md, and measures to the signature's ENCLAVEHASH with signed files of metadata 1.1, 1.2 and 1.3, of 32 and 64 bits.
/// </summary>
/// <remarks>
/// <code>
///   headers │ sections │ heap │ guard │ for each thread: TCS │ thread data │ guard │ SSA │ guard │ stack
///   r--                  rw-, not measured                                                        0xCC
/// </code>
/// The template of thread-local data begins with a struct that tells the enclave its own layout; the loader fills it in.
/// </remarks>
internal sealed class SdkPeLayout
{
    private const ulong Page = PageContent.PageSize;
    private const ulong GuardPages = 16;
    private const ulong GuardSize = GuardPages * Page;
    private const uint SegmentLimit = 0xFFF;
    private const uint StackWord = 0xCCCC_CCCC;

    private readonly PeFile _file;
    private readonly SdkPeMetadata _metadata;
    private readonly LayoutBuilder _builder;
    private readonly ulong _heap;
    private readonly ulong _heapSize;
    private readonly ulong _stackSize;
    private readonly ulong _threadDataSize;
    private readonly ulong _ssaPages;
    private readonly ulong _size;

    private SdkPeLayout(PeFile file, SdkPeMetadata metadata)
    {
        (_file, _metadata) = (file, metadata);
        _heap = file.End;
        _heapSize = PeFile.RoundUp(metadata.HeapSize);
        _stackSize = PeFile.RoundUp(metadata.StackSize);
        _ssaPages = (ulong)metadata.SsaFrames * metadata.SsaFrameSize;
        (TemplateRva, ulong templateSize) = file.ThreadTemplate()
            ?? throw new ImageException(file.OptionalOffset, "it has no thread-local data, in which the loader tells an enclave its layout");
        if (templateSize < HeapSizeOffset + sizeof(uint))
        {
            throw new ImageException(file.OptionalOffset, $"the template of thread-local data has {templateSize} bytes, too few for what the loader writes");
        }

        _threadDataSize = PeFile.RoundUp(templateSize);
        UInt128 end = _heap + _heapSize + GuardSize + ((UInt128)ThreadSize * metadata.Threads);
        if (end > LayoutBuilder.MaximumSize)
        {
            throw new ImageException((long)metadata.Offset, $"the enclave would be larger than {FactList.Hex(LayoutBuilder.MaximumSize)} bytes");
        }

        _size = BitOperations.RoundUpToPowerOf2((ulong)end);
        _builder = new LayoutBuilder(_size, metadata.SsaFrameSize);
    }

    private ulong TemplateRva { get; }

    /// <summary>Where the last field of thread_data_t stands that the loader writes.</summary>
    private uint HeapSizeOffset => _file.Is64 ? 100u : 56;

    // From a thread's TCS.
    private ulong Ssa => Page + _threadDataSize + GuardSize;

    private ulong StackLimit => Ssa + (_ssaPages * Page) + GuardSize;

    private ulong ThreadSize => StackLimit + _stackSize;

    internal static EnclaveLayout Build(PeFile file, SdkPeMetadata metadata, in SectionHeader metadataSection, out IReadOnlyList<AddressRange> reserved)
    {
        SdkPeLayout layout = new(file, metadata);
        layout.AddImage(in metadataSection);
        layout.AddHeap();
        layout.AddThreads();
        reserved = layout._builder.Reserved;
        return layout._builder.Build();
    }

    private void AddImage(in SectionHeader metadataSection)
    {
        PatchedBytes bytes = new(_file.Bytes);
        bytes.Patch(_file.OptionalOffset, _file.ChecksumOffset, new byte[4]);
        bytes.Patch(_file.OptionalOffset, _file.CertificatesOffset, new byte[8]);
        foreach ((uint at, byte[] field) in ThreadData())
        {
            ulong offset = _file.FileOffset(TemplateRva + at, (ulong)field.Length, "the template of thread-local data");
            bytes.Patch(_file.OptionalOffset, offset, field);
        }

        ulong headers = (uint)_file.Optional.SizeOfHeaders;
        Add(
            0, PeFile.RoundUp(headers) / Page, SecInfoFlags.R, new SegmentContent(bytes, 0, headers, 0), "PE headers", PageUse.Image);
        HashSet<ulong> relocated = _file.RelocatedPages();
        foreach (SectionHeader section in _file.Sections)
        {
            if (!section.Equals(metadataSection))
            {
                AddSection(in section, bytes, relocated);
            }
        }
    }

    // Pages with a base relocation become writable, for the enclave relocates itself.
    private void AddSection(in SectionHeader section, PatchedBytes bytes, HashSet<ulong> relocated)
    {
        ulong first = (uint)section.VirtualAddress / Page;
        ulong end = first + (PeFile.RoundUp((uint)section.VirtualSize) / Page);
        ulong inFile = Math.Min((uint)section.SizeOfRawData, (end - first) * Page);
        ulong offset = (uint)section.PointerToRawData;
        SecInfoFlags permissions = PeFile.Permissions(in section);
        string name = $"section {FactList.Printable(section.Name)}";
        _file.Bytes.Memory(inFile == 0 ? 0 : offset, inFile, name);
        if ((uint)section.VirtualAddress % Page != 0 || end * Page > _size)
        {
            throw new ImageException(_file.OptionalOffset, $"{name} does not begin at a page, or lies outside the enclave");
        }

        for (ulong page = first; page < end;)
        {
            bool isWritten = !permissions.HasFlag(SecInfoFlags.W) && relocated.Contains(page);
            ulong next = page + 1;
            while (next < end && (permissions.HasFlag(SecInfoFlags.W) || relocated.Contains(next) == isWritten))
            {
                next++;
            }

            SegmentContent content = new(bytes, offset, inFile, -(long)((page - first) * Page));
            Add(
                page * Page, next - page, isWritten ? permissions | SecInfoFlags.W : permissions, content,
                isWritten ? $"{name}, with relocations" : name, PageUse.Image);
            page = next;
        }
    }

    private void AddHeap()
    {
        const SecInfoFlags ReadWrite = SecInfoFlags.R | SecInfoFlags.W;
        if (_heapSize > 0)
        {
            _builder.Add(
                (long)_metadata.Offset + 40,
                new PageRun(_heap, _heapSize / Page, LayoutBuilder.Flags(PageType.PT_REG, ReadWrite), 0, PageContent.Zero, "heap") { Use = PageUse.Heap });
        }

        Reserve(_heap + _heapSize, "guard");
    }

    private void AddThreads()
    {
        const SecInfoFlags ReadWrite = SecInfoFlags.R | SecInfoFlags.W;
        uint entry = _file.Export("enclave_entry"u8)
            ?? throw new ImageException(_file.OptionalOffset, "it exports no enclave_entry, where an enclave is entered");
        byte[] tcs = new byte[TcsContent.FieldsLength];
        BinaryPrimitives.WriteUInt64LittleEndian(tcs.AsSpan(16), Ssa);
        BinaryPrimitives.WriteUInt32LittleEndian(tcs.AsSpan(28), _metadata.SsaFrames);
        BinaryPrimitives.WriteUInt64LittleEndian(tcs.AsSpan(32), entry);
        BinaryPrimitives.WriteUInt64LittleEndian(tcs.AsSpan(48), Page);
        BinaryPrimitives.WriteUInt64LittleEndian(tcs.AsSpan(56), Page);
        BinaryPrimitives.WriteUInt32LittleEndian(tcs.AsSpan(64), SegmentLimit);
        BinaryPrimitives.WriteUInt32LittleEndian(tcs.AsSpan(68), SegmentLimit);
        for (uint i = 0; i < _metadata.Threads; i++)
        {
            ulong thread = _heap + _heapSize + GuardSize + (i * ThreadSize);
            string of = string.Create(CultureInfo.InvariantCulture, $"of thread {i}");
            Add(thread, 1, null, new TcsContent(tcs, thread), $"TCS {of}", PageUse.Tcs);
            if (_threadDataSize > 0)
            {
                Add(thread + Page, _threadDataSize / Page, ReadWrite, PageContent.Zero, $"thread data {of}", PageUse.ThreadData);
            }

            Reserve(thread + Page + _threadDataSize, $"guard {of}");
            Add(thread + Ssa, _ssaPages, ReadWrite, PageContent.Zero, $"SSA {of}", PageUse.Ssa);
            Reserve(thread + StackLimit - GuardSize, $"guard {of}");
            Add(thread + StackLimit, _stackSize / Page, ReadWrite, new FilledContent(StackWord), $"stack {of}", PageUse.Stack);
        }
    }

    /// <summary>
    /// What the loader writes into the template: thread_data_t of the SDK, whose words are as wide as the enclave's. Offsets are from the
    /// thread's TCS unless they are from the enclave's base.
    /// </summary>
    private IEnumerable<(uint Offset, byte[] Value)> ThreadData()
    {
        ulong stackBase = ThreadSize;
        ulong firstGpr = Ssa + (_metadata.SsaFrameSize * Page) - GprSgx.Size;
        uint word = _file.Is64 ? 8u : 4;
        // In 32 bits: the end of the chain of exception handlers, at FS:0.
        if (!_file.Is64)
        {
            yield return (0, Word(uint.MaxValue));
        }

        yield return (1 * word, Word(stackBase)); // last_sp
        yield return (2 * word, Word(stackBase)); // stack_base_addr
        yield return (3 * word, Word(StackLimit)); // stack_limit_addr
        yield return (4 * word, Word(Ssa)); // first_ssa_base
        yield return (5 * word, Word(firstGpr)); // first_ssa_gpr
        yield return (6 * word, Word(Page)); // self_addr
        yield return (7 * word, [(byte)_metadata.TcsPolicy]); // thread_policy
        yield return (8 * word, Word(_heap)); // heap_offset, from the base
        yield return (9 * word, Word(_size)); // enclave_size
        yield return (11 * word, Word(Page + (6 * word))); // tls_array: the address of self_addr
        yield return (12 * word, Bytes32(_metadata.SsaFrameSize));
        yield return (HeapSizeOffset, Bytes32((uint)_heapSize)); // another field stands before it in 32 bits
    }

    private byte[] Word(ulong value)
    {
        byte[] bytes = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return _file.Is64 ? bytes : bytes[..sizeof(uint)];
    }

    private static byte[] Bytes32(uint value)
    {
        byte[] bytes = new byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        return bytes;
    }

    private void Reserve(ulong offset, string name) => _builder.Reserve((long)_metadata.Offset, offset, GuardPages, name, PageUse.Guard);

    /// <summary>Adds measured pages; without permissions they are TCS pages.</summary>
    private void Add(ulong offset, ulong pages, SecInfoFlags? permissions, PageContent content, string name, PageUse use)
    {
        SecInfoFlags flags = permissions is { } regular
            ? LayoutBuilder.Flags(PageType.PT_REG, regular)
            : LayoutBuilder.Flags(PageType.PT_TCS, SecInfoFlags.None);
        _builder.Add((long)_metadata.Offset, new PageRun(offset, pages, flags, PageRun.AllChunks, content, name) { Use = use });
    }
}
