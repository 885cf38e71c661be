using System.Globalization;
using System.Runtime.InteropServices;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel.Tracing;

/// <summary>The events of logical processors: leaves of ENCLU, and asynchronous exits.</summary>
/// <remarks>The operands of a leaf are those of <see cref="LeafTable"/>; here stands what can be said of each.</remarks>
public static class TransitionTrace
{
    /// <summary>A leaf was executed.</summary>
    /// <param name="trace">Where the event goes.</param>
    /// <param name="processor">The package.</param>
    /// <param name="enclave">The enclave concerned; <see langword="null"/> if RBX named none.</param>
    /// <param name="before">The registers before.</param>
    /// <param name="after">The registers after.</param>
    /// <param name="space">The page tables.</param>
    /// <param name="result">How it ended.</param>
    /// <param name="outcome">If that is #PF: what became of the page fault.</param>
    internal static void Executed(
        ITrace trace,
        SgxProcessor processor,
        Enclave? enclave,
        in RegisterFile before,
        in RegisterFile after,
        ILinearAddressSpace space,
        in LeafResult result,
        FaultOutcome outcome)
    {
        uint number = (uint)before.Rax;
        LeafInfo? leaf = LeafTable.Find(LeafKind.ENCLU, number);
        var e = new TraceEvent(TraceKinds.Enclu, leaf?.Name ?? string.Create(CultureInfo.InvariantCulture, $"0x{number:x}"));
        if (leaf is not null)
        {
            Operand(e, leaf.Rbx, before.Rbx, processor, enclave, space);
            Operand(e, leaf.Rcx, leaf.Number == (uint)EncluLeaf.EEXIT ? after.Rcx : before.Rcx, processor, enclave, space);
            Operand(e, leaf.Rdx, before.Rdx, processor, enclave, space);
        }

        e.Return(in result, enclave);
        if (result.IsSuccess && number == (uint)EncluLeaf.EENTER)
        {
            e.Add("cssa", (long)after.Rax);
        }
        else if (result.Status == LeafStatus.Fault && result.Fault.Kind == ExceptionVector.PF)
        {
            e.Add("outcome", outcome.ToString());
        }

        trace.Write(e);
    }

    /// <summary>A thread entered or left an enclave by itself: the event that <see cref="Executed"/> would have made, and the way.</summary>
    /// <param name="leaf">EENTER, ERESUME or EEXIT.</param>
    /// <param name="rbx">The TCS, or where EEXIT goes.</param>
    /// <param name="rcx">The AEP.</param>
    /// <param name="cssa">The current SSA frame at EENTER.</param>
    /// <param name="enclaveBase">Where the enclave begins.</param>
    /// <param name="enclaveSize">Its size in bytes; 0 if it is not known.</param>
    /// <param name="way">By what the thread went.</param>
    /// <param name="thread">The thread.</param>
    /// <returns>The event.</returns>
    public static TraceEvent Completed(
        EncluLeaf leaf, ulong rbx, ulong rcx, uint cssa, ulong enclaveBase, ulong enclaveSize, string way, string thread)
    {
        LeafInfo info = LeafTable.Find(LeafKind.ENCLU, (uint)leaf)!;
        TraceEvent e = new TraceEvent(TraceKinds.Enclu, info.Name) { Thread = thread }
            .Add(FieldName(info.Rbx), rbx, enclaveBase, enclaveSize).Add(FieldName(info.Rcx), rcx, enclaveBase, enclaveSize).Return(0);
        if (leaf == EncluLeaf.EENTER)
        {
            e.Add("cssa", (long)cssa);
        }

        return e.Add("way", way);
    }

    /// <summary>An asynchronous exit is about to happen.</summary>
    internal static void Exiting(ITrace trace, Enclave enclave, LogicalProcessor logical, in RegisterFile registers, in ExitEvent exit)
    {
        var e = new TraceEvent(TraceKinds.Exit, exit.IsException ? TraceNames.OfVector(exit.Vector) : "interrupt");
        if (exit.IsException)
        {
            e.Add(new Fault(exit.Vector, exit.ErrorCode, exit.FaultAddress), enclave);
        }

        trace.Write(e.Add("rip", registers.Rip, enclave).Add("tcs", logical.TcsAddress, enclave));
    }

    /// <summary>A thread died inside.</summary>
    internal static void Abandoned(ITrace trace, Enclave enclave, LogicalProcessor logical)
        => trace.Write(new TraceEvent(TraceKinds.Exit, "death").Add("tcs", logical.TcsAddress, enclave));

    /// <summary>The name of a field for an operand of the table: "REPORTDATA" is reportData, "enclave page" enclavePage.</summary>
    internal static string FieldName(string operand) => operand switch
    {
        "TARGETINFO" => "targetInfo",
        "REPORTDATA" => "reportData",
        "REPORT" => "report",
        "KEYREQUEST" => "keyRequest",
        "key" => "key",
        "TCS" => "tcs",
        "AEP" or "AEP (out)" => "aep",
        "target" => "target",
        "SECINFO" => "secInfoAddress",
        "enclave page" => "page",
        "destination page" => "page",
        "source page" => "source",
        "REPORTMACSTRUCT" => "reportMacStruct",
        _ => throw new ArgumentOutOfRangeException(nameof(operand), operand, "an operand without a field"),
    };

    private static void Operand(
        TraceEvent e, string operand, ulong value, SgxProcessor processor, Enclave? enclave, ILinearAddressSpace space)
    {
        if (operand.Length == 0)
        {
            return;
        }

        e.Add(FieldName(operand), value, enclave);
        switch (operand)
        {
            case "SECINFO" when TryRead(processor, space, value, out SecInfo secInfo):
                e.Add("secInfo", TraceNames.Of(in secInfo));
                break;
            case "KEYREQUEST" when TryRead(processor, space, value, out KeyRequest request):
                e.Add("keyName", TraceNames.Value(request.KeyName)).Add("keyPolicy", TraceNames.Flags(request.KeyPolicy))
                    .Add("isvSvn", request.IsvSvn);
                break;
            case "TARGETINFO" when TryRead(processor, space, value, out TargetInfo target):
                e.Add("targetMrEnclave", target.Measurement.ToString());
                break;
            default:
                break;
        }
    }

    // Structures of leaves are aligned to their size, so none crosses a page.
    private static bool TryRead<T>(SgxProcessor processor, ILinearAddressSpace space, ulong address, out T value)
        where T : unmanaged
    {
        value = default;
        int offset = (int)(address % EpcPool.PageSize);
        if (!space.TryTranslate(address, AccessKind.Read, out int page, out _) || page < 0)
        {
            return false;
        }

        ReadOnlySpan<byte> frame = processor.Frames.Frame(page)[offset..];
        return MemoryMarshal.TryRead(frame, out value);
    }
}
