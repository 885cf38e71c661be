using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor.Model;

/// <summary>
/// EENTER, ERESUME, EEXIT, EDECCSSA and the asynchronous exit, in 64-bit mode.
/// SDM vol. 3D, the pages of those names; "AEX operational detail"; "Asynchronous enclave exit notification".
/// </summary>
public sealed partial class ModelProcessor
{
    private const ulong ZeroFlag = 1 << 6;
    private const ulong TrapFlag = 1 << 8;
    private const ulong ArithmeticFlags = 0x8D5;
    private const ulong ResumeFlag = 1 << 16;
    private const ulong FlagsFromSsa = ArithmeticFlags | 1 << 10 | 1 << 14 | ResumeFlag | 1 << 18 | 1 << 21;
    private const int GprOffset = 4096 - GprSgx.Size;
    private const int ExInfoOffset = GprOffset - 16;

    /// <summary>ENCLU[EENTER].</summary>
    public Outcome EEnter(ModelLogicalProcessor logical, ModelRegisters registers, PageTables tables)
    {
        if (FindTcs(registers, tables, out int tcsPage, out ModelEnclave enclave) is { } refused) return refused;
        ref Tcs tcs = ref TcsAt(tcsPage);
        if (tcs.CSsa >= tcs.NSsa) return Outcome.GP;
        if (FindFrame(tables, enclave, in tcs, tcs.CSsa, out List<int> xsave, out int gpr) is { } ssaFault) return ssaFault;
        if (!Canonical(enclave.Secs.BaseAddress + tcs.OEntry)) return Outcome.GP;
        if (!Canonical(enclave.Secs.BaseAddress + tcs.OFsBase)) return Outcome.GP;
        if (!Canonical(enclave.Secs.BaseAddress + tcs.OGsBase)) return Outcome.GP;
        if (tcs.State != 0) return Outcome.GP;

        EnterAtEntryPoint(logical, registers, enclave, tcsPage, xsave, gpr);
        return Outcome.Ok;
    }

    /// <summary>ENCLU[ERESUME].</summary>
    public Outcome EResume(ModelLogicalProcessor logical, ModelRegisters registers, PageTables tables, Span<byte> xsave)
    {
        if (FindTcs(registers, tables, out int tcsPage, out ModelEnclave enclave) is { } refused) return refused;
        ref Tcs tcs = ref TcsAt(tcsPage);
        if (tcs.CSsa == 0) return Outcome.GP;
        if (FindFrame(tables, enclave, in tcs, tcs.CSsa - 1, out List<int> pages, out int gprPage) is { } ssaFault) return ssaFault;

        GprSgx gpr = GprAt(gprPage);
        bool notify = tcs.Flags.HasFlag(TcsFlags.AEXNOTIFY) && (gpr.AexNotify & 1) != 0;
        if (notify)
        {
            if (tcs.CSsa >= tcs.NSsa) return Outcome.GP;
            if (FindFrame(tables, enclave, in tcs, tcs.CSsa, out pages, out gprPage) is { } nextFault) return nextFault;
        }

        if (!Canonical(notify ? enclave.Secs.BaseAddress + tcs.OEntry : gpr.Rip)) return Outcome.GP;
        if (!Canonical(notify ? enclave.Secs.BaseAddress + tcs.OFsBase : gpr.FsBase)) return Outcome.GP;
        if (!Canonical(notify ? enclave.Secs.BaseAddress + tcs.OGsBase : gpr.GsBase)) return Outcome.GP;
        if (tcs.State != 0) return Outcome.GP;
        if (notify)
        {
            EnterAtEntryPoint(logical, registers, enclave, tcsPage, pages, gprPage);
            return Outcome.Ok;
        }

        if (!LoadXsave(pages, enclave.Secs.Attributes.Xfrm, xsave)) return Outcome.GP;
        Enter(logical, registers, enclave, tcsPage, pages, gprPage);
        ulong flags = (registers[Register.Rflags] & ~FlagsFromSsa) | (gpr.Rflags & FlagsFromSsa);
        registers[Register.Rflags] = logical.DebugOptIn ? flags : flags & ~TrapFlag;
        foreach ((Register register, ulong value) in Saved(gpr))
        {
            registers[register] = value;
        }

        tcs.CSsa--;
        return Outcome.Ok;
    }

    /// <summary>ENCLU[EEXIT].</summary>
    public Outcome EExit(ModelLogicalProcessor logical, ModelRegisters registers)
    {
        if (!Canonical(registers[Register.Rbx])) return Outcome.GP;
        registers[Register.Rip] = registers[Register.Rbx];
        registers[Register.Rcx] = TcsAt(logical.TcsPage).Aep;
        Leave(logical, registers);
        return Outcome.Ok;
    }

    /// <summary>ENCLU[EDECCSSA].</summary>
    public Outcome EDecCssa(ModelLogicalProcessor logical, PageTables tables)
    {
        ref Tcs tcs = ref TcsAt(logical.TcsPage);
        if (tcs.CSsa == 0) return Outcome.GP;
        if (FindFrame(tables, logical.Enclave!, in tcs, tcs.CSsa - 1, out List<int> xsave, out int gpr) is { } fault) return fault;
        tcs.CSsa--;
        logical.XsavePages = xsave;
        logical.GprPage = gpr;
        return Outcome.Ok;
    }

    /// <summary>An asynchronous exit: by an interrupt if there is no vector, else by that exception.</summary>
    public void AsynchronousExit(
        ModelLogicalProcessor logical, ModelRegisters registers, Span<byte> xsave, ExceptionVector? vector, uint errorCode, ulong faultAddress)
    {
        ModelEnclave enclave = logical.Enclave!;
        ref Tcs tcs = ref TcsAt(logical.TcsPage);
        SaveXsave(logical.XsavePages, enclave.Secs.Attributes.Xfrm, xsave);

        ref GprSgx gpr = ref GprAt(logical.GprPage);
        foreach ((Register register, _) in Saved(default))
        {
            SetSaved(ref gpr, register, registers[register]);
        }

        gpr.Rflags = registers[Register.Rflags] & ~TrapFlag;
        bool exInfo = enclave.Secs.MiscSelect.HasFlag(MiscSelect.EXINFO) && vector is ExceptionVector.PF or ExceptionVector.GP;
        exInfo &= enclave.Secs.MiscSelect.HasFlag(MiscSelect.EXINFO);
        gpr.ExitInfo = vector switch
        {
            ExceptionVector.BP => ExitInfo.For(3, 6),
            ExceptionVector.DE or ExceptionVector.DB or ExceptionVector.BR or ExceptionVector.UD
                or ExceptionVector.MF or ExceptionVector.AC or ExceptionVector.XM => ExitInfo.For((byte)vector.Value, 3),
            _ => exInfo ? ExitInfo.For((byte)vector!.Value, 3) : default,
        };
        if (exInfo)
        {
            ExInfo info = new() { MAddr = vector == ExceptionVector.PF ? faultAddress : 0, ErrCd = errorCode };
            MemoryMarshal.Write(Contents[logical.GprPage].AsSpan(ExInfoOffset), in info);
        }

        ulong flags = registers[Register.Rflags] & ~(ArithmeticFlags | ResumeFlag);
        registers.Values.AsSpan().Clear();
        registers[Register.Rax] = (ulong)EncluLeaf.ERESUME;
        registers[Register.Rbx] = logical.TcsAddress;
        registers[Register.Rcx] = tcs.Aep;
        registers[Register.Rip] = tcs.Aep;
        registers[Register.Rsp] = gpr.URsp;
        registers[Register.Rbp] = gpr.URbp;
        registers[Register.Rflags] = flags;
        tcs.CSsa++;
        Leave(logical, registers);
    }

    private Outcome? FindTcs(ModelRegisters registers, PageTables tables, out int tcsPage, out ModelEnclave enclave)
    {
        ulong address = registers[Register.Rbx];
        tcsPage = -1;
        enclave = null!;
        if (address % PageSize != 0) return Outcome.GP;
        if (!Canonical(address)) return Outcome.GP;
        if (Resolve(tables, address, write: true, out tcsPage) is { } fault) return fault;
        if (!Canonical(registers[Register.Rcx])) return Outcome.GP;
        if (EntryOf(tcsPage) is not { Type: PageType.PT_TCS, Blocked: false, Pending: false, Modified: false } entry) return Outcome.EpcmPF(address, write: true);
        if (entry.Address != address) return Outcome.EpcmPF(address, write: true);

        ref Tcs tcs = ref TcsAt(tcsPage);
        enclave = entry.Enclave!;
        TcsFlags known = TcsFlags.DBGOPTIN | (configuration.Attributes.HasFlag(AttributeFlags.AEXNOTIFY) ? TcsFlags.AEXNOTIFY : 0);
        bool aexNotify = enclave.Secs.Attributes.Flags.HasFlag(AttributeFlags.AEXNOTIFY);
        if (tcs.OSsa % PageSize != 0) return Outcome.GP;
        if (tcs.OFsBase % PageSize != 0 || tcs.OGsBase % PageSize != 0) return Outcome.GP;
        if ((tcs.Flags & ~known) != 0) return Outcome.GP;
        if (!enclave.IsInitialized) return Outcome.GP;
        if (!enclave.Secs.Attributes.Flags.HasFlag(AttributeFlags.MODE64BIT)) return Outcome.GP;
        if ((enclave.Secs.Attributes.Xfrm & ~configuration.Xfrm) != 0) return Outcome.GP;
        if (!tcs.Flags.HasFlag(TcsFlags.DBGOPTIN) && tcs.Flags.HasFlag(TcsFlags.AEXNOTIFY) != aexNotify) return Outcome.GP;
        return null;
    }

    /// <summary>The pages of SSA frame <paramref name="index"/>: those of the XSAVE area, and that of GPRSGX.</summary>
    private Outcome? FindFrame(PageTables tables, ModelEnclave enclave, in Tcs tcs, uint index, out List<int> xsave, out int gpr)
    {
        ulong frameSize = enclave.Secs.SsaFrameSize * PageSize;
        ulong frame = enclave.Secs.BaseAddress + tcs.OSsa + (frameSize * index);
        xsave = [];
        gpr = -1;
        for (ulong offset = 0; offset < (ulong)XsaveSize(enclave.Secs.Attributes.Xfrm); offset += PageSize)
        {
            if (SsaPage(tables, enclave, frame + offset, out int page) is { } fault) return fault;
            xsave.Add(page);
        }

        return SsaPage(tables, enclave, frame + frameSize - GprSgx.Size, out gpr);
    }

    private Outcome? SsaPage(PageTables tables, ModelEnclave enclave, ulong address, out int page)
    {
        if (Resolve(tables, address, write: true, out page) is { } fault) return fault;
        return IsUsable(enclave, page, address, RW) ? null : Outcome.EpcmPF(address, write: true);
    }

    private void EnterAtEntryPoint(
        ModelLogicalProcessor logical, ModelRegisters registers, ModelEnclave enclave, int tcsPage, List<int> xsave, int gpr)
    {
        Enter(logical, registers, enclave, tcsPage, xsave, gpr);
        ref Tcs tcs = ref TcsAt(tcsPage);
        registers[Register.Rax] = tcs.CSsa;
        registers[Register.Rcx] = registers[Register.Rip];
        registers[Register.Rip] = enclave.Secs.BaseAddress + tcs.OEntry;
        registers[Register.FsBase] = enclave.Secs.BaseAddress + tcs.OFsBase;
        registers[Register.GsBase] = enclave.Secs.BaseAddress + tcs.OGsBase;
        if (!logical.DebugOptIn)
        {
            registers[Register.Rflags] &= ~TrapFlag;
        }
    }

    private void Enter(
        ModelLogicalProcessor logical, ModelRegisters registers, ModelEnclave enclave, int tcsPage, List<int> xsave, int gpr)
    {
        ref Tcs tcs = ref TcsAt(tcsPage);
        tcs.State = 1;
        tcs.Aep = registers[Register.Rcx];
        logical.Enclave = enclave;
        logical.EntryEpoch = enclave.Epoch;
        logical.TcsPage = tcsPage;
        logical.TcsAddress = registers[Register.Rbx];
        logical.XsavePages = xsave;
        logical.GprPage = gpr;
        logical.DebugOptIn = tcs.Flags.HasFlag(TcsFlags.DBGOPTIN);
        logical.SavedFsBase = registers[Register.FsBase];
        logical.SavedGsBase = registers[Register.GsBase];
        logical.SavedTrapFlag = (registers[Register.Rflags] & TrapFlag) != 0;
        GprAt(gpr).URsp = registers[Register.Rsp];
        GprAt(gpr).URbp = registers[Register.Rbp];
    }

    private void Leave(ModelLogicalProcessor logical, ModelRegisters registers)
    {
        registers[Register.FsBase] = logical.SavedFsBase;
        registers[Register.GsBase] = logical.SavedGsBase;
        if (!logical.DebugOptIn)
        {
            registers[Register.Rflags] = (registers[Register.Rflags] & ~TrapFlag) | (logical.SavedTrapFlag ? TrapFlag : 0);
        }

        TcsAt(logical.TcsPage).State = 0;
        logical.Enclave = null;
    }

    private ref GprSgx GprAt(int page) => ref MemoryMarshal.AsRef<GprSgx>(Contents[page].AsSpan(GprOffset));

    private static IEnumerable<(Register Register, ulong Value)> Saved(GprSgx gpr) =>
    [
        (Register.Rax, gpr.Rax), (Register.Rcx, gpr.Rcx), (Register.Rdx, gpr.Rdx), (Register.Rbx, gpr.Rbx),
        (Register.Rsp, gpr.Rsp), (Register.Rbp, gpr.Rbp), (Register.Rsi, gpr.Rsi), (Register.Rdi, gpr.Rdi),
        (Register.R8, gpr.R8), (Register.R8 + 1, gpr.R9), (Register.R8 + 2, gpr.R10), (Register.R8 + 3, gpr.R11),
        (Register.R8 + 4, gpr.R12), (Register.R8 + 5, gpr.R13), (Register.R8 + 6, gpr.R14), (Register.R15, gpr.R15),
        (Register.Rip, gpr.Rip), (Register.FsBase, gpr.FsBase), (Register.GsBase, gpr.GsBase),
    ];

    private static void SetSaved(ref GprSgx gpr, Register register, ulong value)
    {
        switch (register)
        {
            case Register.Rax: gpr.Rax = value; break;
            case Register.Rcx: gpr.Rcx = value; break;
            case Register.Rdx: gpr.Rdx = value; break;
            case Register.Rbx: gpr.Rbx = value; break;
            case Register.Rsp: gpr.Rsp = value; break;
            case Register.Rbp: gpr.Rbp = value; break;
            case Register.Rsi: gpr.Rsi = value; break;
            case Register.Rdi: gpr.Rdi = value; break;
            case Register.R8: gpr.R8 = value; break;
            case Register.R8 + 1: gpr.R9 = value; break;
            case Register.R8 + 2: gpr.R10 = value; break;
            case Register.R8 + 3: gpr.R11 = value; break;
            case Register.R8 + 4: gpr.R12 = value; break;
            case Register.R8 + 5: gpr.R13 = value; break;
            case Register.R8 + 6: gpr.R14 = value; break;
            case Register.R15: gpr.R15 = value; break;
            case Register.Rip: gpr.Rip = value; break;
            case Register.FsBase: gpr.FsBase = value; break;
            default: gpr.GsBase = value; break;
        }
    }
}
