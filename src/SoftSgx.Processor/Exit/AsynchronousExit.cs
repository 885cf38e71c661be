using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// Asynchronous enclave exit: saves the thread's state into the current SSA frame and shows the host a synthetic one.
/// SDM vol. 3D, "AEX operational detail" and "Synthetic state on asynchronous enclave exit".
/// </summary>
public static class AsynchronousExit
{
    private const ulong ClearedFlags = Rflags.Arithmetic | Rflags.RF;
    private const int GprOffset = EnclaveEntry.GprOffset;
    private const int ExInfoOffset = GprOffset - ExInfo.Size;

    /// <summary>Leaves the enclave that <paramref name="logical"/> is in because of <paramref name="e"/>.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="logical">The logical processor, inside an enclave.</param>
    /// <param name="registers">In: the enclave's registers, RIP where it shall go on. Out: the synthetic state.</param>
    /// <param name="xsave">In: the enclave's standard-format XSAVE image. Out: its components of XFRM in their initial state.</param>
    /// <param name="e">What happened.</param>
    /// <exception cref="InvalidOperationException">The logical processor is not inside an enclave.</exception>
    public static void Execute(
        SgxProcessor processor, LogicalProcessor logical, ref RegisterFile registers, Span<byte> xsave, in ExitEvent e)
    {
        ArgumentNullException.ThrowIfNull(processor);
        ArgumentNullException.ThrowIfNull(logical);
        if (!logical.InEnclave)
        {
            throw new InvalidOperationException("an asynchronous exit outside of enclaves");
        }

        ref readonly Secs secs = ref processor.SecsOf(logical.ActiveSecs);
        ulong xfrm = secs.Attributes.Xfrm;
        SsaXsave.Save(processor, logical, xfrm, xsave);
        SsaXsave.Initialize(processor.Configuration.XsaveLayout, xfrm, xsave);

        ref GprSgx frame = ref EnclaveEntry.GprOf(processor, logical);
        GprSgx gpr = frame;
        SaveRegisters(ref gpr, in registers);
        gpr.ExitInfo = Explain(processor, logical, secs.MiscSelect, in e);
        frame = gpr;

        ref Tcs tcs = ref processor.TcsOf(logical.ActiveTcs);
        registers = new RegisterFile
        {
            Rax = (ulong)EncluLeaf.ERESUME,
            Rbx = logical.TcsAddress,
            Rcx = tcs.Aep,
            Rip = tcs.Aep,
            Rsp = gpr.URsp,
            Rbp = gpr.URbp,
            Rflags = registers.Rflags & ~ClearedFlags,
        };
        tcs.CSsa++;
        logical.LeaveEnclave(processor, ref registers);
    }

    /// <summary>
    /// The thread died inside and there is no state to save: makes the TCS inactive and uses up the SSA frame.
    /// Does nothing for a logical processor that is not inside an enclave.
    /// </summary>
    public static void Abandon(SgxProcessor processor, LogicalProcessor logical)
    {
        ArgumentNullException.ThrowIfNull(processor);
        ArgumentNullException.ThrowIfNull(logical);
        if (!logical.InEnclave) return;

        processor.TcsOf(logical.ActiveTcs).CSsa++;
        logical.LeaveEnclave(processor);
    }

    private static void SaveRegisters(ref GprSgx gpr, in RegisterFile registers)
    {
        gpr.Rax = registers.Rax;
        gpr.Rcx = registers.Rcx;
        gpr.Rdx = registers.Rdx;
        gpr.Rbx = registers.Rbx;
        gpr.Rsp = registers.Rsp;
        gpr.Rbp = registers.Rbp;
        gpr.Rsi = registers.Rsi;
        gpr.Rdi = registers.Rdi;
        gpr.R8 = registers.R8;
        gpr.R9 = registers.R9;
        gpr.R10 = registers.R10;
        gpr.R11 = registers.R11;
        gpr.R12 = registers.R12;
        gpr.R13 = registers.R13;
        gpr.R14 = registers.R14;
        gpr.R15 = registers.R15;
        gpr.Rflags = registers.Rflags & ~Rflags.TF;
        gpr.Rip = registers.Rip;
        gpr.FsBase = registers.FsBase;
        gpr.GsBase = registers.GsBase;
    }

    /// <summary>EXITINFO for the event; with MISCSELECT.EXINFO also the EXINFO of a page fault or general-protection fault.</summary>
    private static ExitInfo Explain(
        SgxProcessor processor, LogicalProcessor logical, MiscSelect miscSelect, in ExitEvent e)
    {
        if (!e.IsException) return default;

        switch ((ExceptionVector)e.Vector)
        {
            case ExceptionVector.BP:
                return ExitInfo.For(e.Vector, ExitInfo.SoftwareException);

            case ExceptionVector.DE:
            case ExceptionVector.DB:
            case ExceptionVector.BR:
            case ExceptionVector.UD:
            case ExceptionVector.MF:
            case ExceptionVector.AC:
            case ExceptionVector.XM:
                return ExitInfo.For(e.Vector, ExitInfo.HardwareException);

            case ExceptionVector.PF or ExceptionVector.GP when (miscSelect & MiscSelect.EXINFO) != 0:
                ExInfo info = default;
                info.MAddr = e.Vector == (byte)ExceptionVector.PF ? e.FaultAddress : 0;
                info.ErrCd = e.ErrorCode;
                MemoryMarshal.Write(processor.Frames.Frame(logical.GprPage)[ExInfoOffset..], in info);
                return ExitInfo.For(e.Vector, ExitInfo.HardwareException);

            default:
                return default;
        }
    }
}
