using System.Buffers.Binary;

namespace SoftSgx.Host.Vdso;

/// <summary>
/// The vDSO that a supervised program sees: <c>__vdso_sgx_enter_enclave</c>, and the kernel's own functions by way of stubs.
/// </summary>
/// <remarks>
/// <para>
/// A position-independent ELF64 shared object in which file offsets are addresses. It is mapped anywhere, readable and
/// executable, and AT_SYSINFO_EHDR is pointed at it; the kernel's vDSO stays where it is, since its functions reach their data
/// page relative to themselves. Programs look symbols up by DT_HASH, by DT_GNU_HASH or by the section headers; all are offered.
/// </para>
/// <code>
/// headers | .hash .gnu.hash .dynsym .dynstr .gnu.version .gnu.version_d .dynamic .note | .eh_frame_hdr .eh_frame
///         | .text: enter_enclave, syscall gadget, paging, stubs | .got: the stubs' targets | .data: the supervisor's | section headers
/// </code>
/// <para>
/// One image is built per supervisor. What differs per process, the addresses of the kernel's functions, is filled in by
/// <see cref="Relocate(ulong)"/>.
/// </para>
/// </remarks>
public sealed class VdsoImage
{
    /// <summary>Bytes of the area at <see cref="DataOffset"/> unless <see cref="Build"/> is told otherwise.</summary>
    public const int DefaultDataSize = 4096;

    /// <summary>
    /// The fourth argument (R10) by which the supervisor's seccomp filter knows an rt_sigreturn for a trap of
    /// <c>__vdso_sgx_enter_enclave</c>. A signal that arrives between the load of R10 and the SYSCALL hands the value on to its
    /// handler, whose own rt_sigreturn may still bear it: it is a trap only if RIP is at <see cref="TrapReturnOffset"/>.
    /// </summary>
    public const ulong TrapMagic = VdsoEnterEnclave.TrapMagic;

    /// <summary>Where a trap finds the program's RAX (the leaf), relative to its stack pointer, in bytes.</summary>
    public const int TrapSavedRax = -8;

    /// <summary>Where a trap finds the program's R10, relative to its stack pointer, in bytes.</summary>
    public const int TrapSavedR10 = -16;

    /// <summary>Where a trap finds the program's R11, relative to its stack pointer, in bytes.</summary>
    public const int TrapSavedR11 = -24;

    /// <summary>The name of the function that enters enclaves.</summary>
    public const string EnterEnclaveName = "__vdso_sgx_enter_enclave";

    private const int StubSize = 16;
    private const int StubCodeSize = 6;
    private const int SlotSize = 8;
    private const int MaximumDataSize = 1 << 20;
    private const byte Int3 = 0xcc;

    private static ReadOnlySpan<byte> SyscallGadget => [0x0f, 0x05, 0x0f, 0x0b]; // syscall; ud2

    private readonly byte[] _image;
    private readonly int _slotsOffset;
    private readonly ulong[] _slotTargets;

    private VdsoImage(byte[] image, int slotsOffset, ulong[] slotTargets)
    {
        _image = image;
        _slotsOffset = slotsOffset;
        _slotTargets = slotTargets;
    }

    /// <summary>The image's size in bytes, a multiple of the page size.</summary>
    public int Size => _image.Length;

    /// <summary>The image before relocation: the stubs' targets are zero.</summary>
    public ReadOnlyMemory<byte> Bytes => _image;

    /// <summary>Offset of <c>__vdso_sgx_enter_enclave</c>.</summary>
    public int EnterEnclaveOffset { get; private init; }

    /// <summary>Offset behind the last byte of <c>__vdso_sgx_enter_enclave</c>.</summary>
    public int EnterEnclaveEnd { get; private init; }

    /// <summary>
    /// Offset of the asynchronous exit pointer, the first instruction of the trap. RCX holds its address at every trap, though
    /// SYSCALL has overwritten the register by then.
    /// </summary>
    public int AepOffset { get; private init; }

    /// <summary>Offset of the trap, behind the place for a jump to the monitor, which is at <see cref="AepOffset"/>.</summary>
    public int TrapOffset { get; private init; }

    /// <summary>Offset behind the trap's SYSCALL: RIP at the trap, and where EENTER tells the enclave to EEXIT to.</summary>
    public int TrapReturnOffset { get; private init; }

    /// <summary>
    /// Offset at which the supervisor sets RIP to report an exception, with EAX = leaf, DI = vector, SI = error code,
    /// RDX = address and RSP and RBP those of the untrusted frame.
    /// </summary>
    public int ExceptionOffset { get; private init; }

    /// <summary>Offset of <c>syscall; ud2</c>, for system calls that the supervisor injects.</summary>
    public int SyscallGadgetOffset { get; private init; }

    /// <summary>Offset of the code of the process that ages pages.</summary>
    public int AgeingOffset { get; private init; }

    /// <summary>Offset of an instruction that reads a byte at RDI.</summary>
    public int ReadByteOffset { get; private init; }

    /// <summary>Offset of an instruction that writes a byte at RDI.</summary>
    public int WriteByteOffset { get; private init; }

    /// <summary>Offset of an instruction that is #UD.</summary>
    public int IllegalOffset { get; private init; }

    /// <summary>Offset of an INT3.</summary>
    public int BreakpointOffset { get; private init; }

    /// <summary>Offset of a division by ECX.</summary>
    public int DivideOffset { get; private init; }

    /// <summary>Offset of code that waits for a tracer.</summary>
    public int WaitOffset { get; private init; }

    /// <summary>Offset of the area in which the supervisor places programs and strings; a multiple of 16.</summary>
    public int DataOffset { get; private init; }

    /// <summary>Size of the area at <see cref="DataOffset"/> in bytes.</summary>
    public int DataSize { get; private init; }

    /// <summary>Builds the replacement of one vDSO.</summary>
    /// <param name="realVdso">
    /// The kernel's vDSO as it is mapped in memory, from AT_SYSINFO_EHDR on; empty for a kernel that maps none.
    /// </param>
    /// <param name="dataSize">Size in bytes of the area at <see cref="DataOffset"/>.</param>
    /// <exception cref="InvalidDataException"><paramref name="realVdso"/> is no vDSO that can be understood.</exception>
    public static VdsoImage Build(ReadOnlySpan<byte> realVdso, int dataSize = DefaultDataSize)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(dataSize);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(dataSize, MaximumDataSize);
        RealVdso real = realVdso.IsEmpty ? RealVdso.None : RealVdso.Parse(realVdso);
        return Compose(real, dataSize);
    }

    /// <summary>The image as a process with the kernel's vDSO at <paramref name="realBase"/> needs it.</summary>
    /// <param name="realBase">Address of the kernel's vDSO in the process; the image's own address does not matter.</param>
    public byte[] Relocate(ulong realBase)
    {
        byte[] image = new byte[_image.Length];
        Relocate(realBase, image);
        return image;
    }

    /// <summary>Writes the image as a process with the kernel's vDSO at <paramref name="realBase"/> needs it.</summary>
    /// <param name="realBase">Address of the kernel's vDSO in the process; the image's own address does not matter.</param>
    /// <param name="destination">At least <see cref="Size"/> bytes.</param>
    public void Relocate(ulong realBase, Span<byte> destination)
    {
        _image.CopyTo(destination);
        for (int i = 0; i < _slotTargets.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(
                destination[(_slotsOffset + (i * SlotSize))..], unchecked(realBase + _slotTargets[i]));
        }
    }

    private static VdsoImage Compose(RealVdso real, int dataSize)
    {
        VdsoEnterEnclave enterEnclave = VdsoEnterEnclave.Assemble();
        // A kernel built with SGX has the function too, on any processor. Ours takes its place.
        RealVdso.Symbol[] forwarded = [.. real.Functions.Where(f => f.Name != EnterEnclaveName)];
        int gadgetInText = Align(enterEnclave.Code.Length, 16);
        VdsoPaging paging = VdsoPaging.Assemble();
        int pagingInText = gadgetInText + 16;
        int stubsInText = Align(pagingInText + paging.Code.Length, 16);

        ElfImage elf = new();
        DynamicSymbols symbols = new(real.Versions);
        ElfImage.Section hash = elf.Add(new(".hash", Elf.SHT_HASH, 8) { EntrySize = sizeof(uint) });
        ElfImage.Section gnuHash = elf.Add(new(".gnu.hash", Elf.SHT_GNU_HASH, 8));
        ElfImage.Section dynsym = elf.Add(new(".dynsym", Elf.SHT_DYNSYM, 8) { EntrySize = Elf.SymSize, Info = 1 });
        ElfImage.Section dynstr = elf.Add(new(".dynstr", Elf.SHT_STRTAB, 1));
        ElfImage.Section versym = elf.Add(new(".gnu.version", Elf.SHT_GNU_versym, 2) { EntrySize = sizeof(ushort) });
        ElfImage.Section verdef = elf.Add(new(".gnu.version_d", Elf.SHT_GNU_verdef, 8) { Info = real.Versions.Count });
        ElfImage.Section dynamic = elf.Add(new(".dynamic", Elf.SHT_DYNAMIC, 8)
        {
            EntrySize = Elf.DynSize,
            SegmentType = Elf.PT_DYNAMIC,
        });
        if (real.Notes.Length != 0)
        {
            elf.Add(new(".note", Elf.SHT_NOTE, 4) { SegmentType = Elf.PT_NOTE, Contents = () => real.Notes });
        }
        ElfImage.Section ehFrameHdr = elf.Add(new(".eh_frame_hdr", Elf.SHT_PROGBITS, 4) { SegmentType = Elf.PT_GNU_EH_FRAME });
        ElfImage.Section ehFrame = elf.Add(new(".eh_frame", Elf.SHT_PROGBITS, 8));
        ElfImage.Section text = elf.Add(new(".text", Elf.SHT_PROGBITS, 64) { IsExecutable = true });
        ElfImage.Section got = elf.Add(new(".got", Elf.SHT_PROGBITS, SlotSize) { EntrySize = SlotSize });
        ElfImage.Section data = elf.Add(new(".data", Elf.SHT_PROGBITS, 16));
        hash.Link = gnuHash.Link = versym.Link = dynsym;
        dynsym.Link = verdef.Link = dynamic.Link = dynstr;
        hash.Contents = symbols.Hash;
        gnuHash.Contents = symbols.GnuHash;
        dynsym.Contents = symbols.Table;
        dynstr.Contents = symbols.Strings;
        versym.Contents = symbols.Versions;
        verdef.Contents = symbols.VersionDefinitions;
        dynamic.Contents = Dynamic;
        ehFrameHdr.Contents = EhFrameHdr;
        ehFrame.Contents = EhFrame;
        text.Contents = Text;
        got.Contents = () => new byte[forwarded.Length * SlotSize];
        data.Contents = () => new byte[dataSize];

        foreach (RealVdso.Symbol version in real.VersionSymbols)
        {
            symbols.AddAbsolute(version);
        }
        symbols.AddFunction(
            EnterEnclaveName, (Elf.STB_GLOBAL << 4) | Elf.STT_FUNC, 0, RealVdso.UsualVersion(real.Versions),
            text, 0, enterEnclave.Code.Length);
        for (int i = 0; i < forwarded.Length; i++)
        {
            RealVdso.Symbol function = forwarded[i];
            symbols.AddFunction(
                function.Name, function.Info, function.Other, function.Version, text, stubsInText + (i * StubSize), StubCodeSize);
        }

        byte[] image = elf.Build();
        return new VdsoImage(image, got.Offset, [.. forwarded.Select(f => f.Value)])
        {
            EnterEnclaveOffset = text.Offset,
            EnterEnclaveEnd = text.Offset + enterEnclave.Code.Length,
            AepOffset = text.Offset + enterEnclave.At.Aep,
            TrapOffset = text.Offset + enterEnclave.At.Trap,
            TrapReturnOffset = text.Offset + enterEnclave.At.TrapReturn,
            ExceptionOffset = text.Offset + enterEnclave.At.Exception,
            SyscallGadgetOffset = text.Offset + gadgetInText,
            AgeingOffset = text.Offset + pagingInText,
            ReadByteOffset = text.Offset + pagingInText + paging.ReadOffset,
            IllegalOffset = text.Offset + pagingInText + paging.IllegalOffset,
            BreakpointOffset = text.Offset + pagingInText + paging.BreakpointOffset,
            DivideOffset = text.Offset + pagingInText + paging.DivideOffset,
            WaitOffset = text.Offset + pagingInText + paging.WaitOffset,
            WriteByteOffset = text.Offset + pagingInText + paging.WriteOffset,
            DataOffset = data.Offset,
            DataSize = dataSize,
        };

        byte[] Text()
        {
            byte[] code = new byte[stubsInText + (forwarded.Length * StubSize)];
            code.AsSpan().Fill(Int3);
            enterEnclave.Code.CopyTo(code, 0);
            SyscallGadget.CopyTo(code.AsSpan(gadgetInText));
            paging.Code.CopyTo(code, pagingInText);
            for (int i = 0; i < forwarded.Length; i++)
            {
                int stub = stubsInText + (i * StubSize);
                code[stub] = 0xff; // jmp *slot(%rip)
                code[stub + 1] = 0x25;
                int slot = got.Offset + (i * SlotSize);
                BinaryPrimitives.WriteInt32LittleEndian(code.AsSpan(stub + 2), slot - (text.Offset + stub + StubCodeSize));
            }
            return code;
        }

        VdsoUnwind.Function[] Functions() =>
        [
            new(text.Offset, enterEnclave.Code.Length, VdsoUnwind.EnterEnclaveInstructions(enterEnclave.At)),
            .. forwarded.Length == 0
                ? Array.Empty<VdsoUnwind.Function>()
                : [new(text.Offset + stubsInText, forwarded.Length * StubSize, [])],
        ];

        byte[] EhFrame() => VdsoUnwind.EhFrame(Functions(), ehFrame.Offset);

        byte[] EhFrameHdr()
        {
            VdsoUnwind.Function[] functions = Functions();
            byte[] frames = VdsoUnwind.EhFrame(functions, ehFrame.Offset);
            return VdsoUnwind.EhFrameHdr(functions, frames, ehFrame.Offset, ehFrameHdr.Offset);
        }

        byte[] Dynamic()
        {
            (long Tag, long Value)[] entries =
            [
                (Elf.DT_SONAME, symbols.SoNameOffset),
                (Elf.DT_HASH, hash.Offset),
                (Elf.DT_GNU_HASH, gnuHash.Offset),
                (Elf.DT_STRTAB, dynstr.Offset),
                (Elf.DT_SYMTAB, dynsym.Offset),
                (Elf.DT_STRSZ, dynstr.Size),
                (Elf.DT_SYMENT, Elf.SymSize),
                (Elf.DT_VERDEF, verdef.Offset),
                (Elf.DT_VERDEFNUM, real.Versions.Count),
                (Elf.DT_VERSYM, versym.Offset),
                (Elf.DT_NULL, 0),
            ];
            byte[] table = new byte[entries.Length * Elf.DynSize];
            for (int i = 0; i < entries.Length; i++)
            {
                BinaryPrimitives.WriteInt64LittleEndian(table.AsSpan(i * Elf.DynSize), entries[i].Tag);
                BinaryPrimitives.WriteInt64LittleEndian(table.AsSpan((i * Elf.DynSize) + 8), entries[i].Value);
            }
            return table;
        }
    }

    private static int Align(int value, int alignment) => (value + alignment - 1) & -alignment;
}
