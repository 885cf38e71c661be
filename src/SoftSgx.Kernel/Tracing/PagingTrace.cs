using SoftSgx.Architecture;

namespace SoftSgx.Kernel.Tracing;

/// <summary>The events of paging: faults, and pages that come and go.</summary>
public static class PagingTrace
{
    /// <summary>A page fault was handled.</summary>
    /// <param name="trace">Where the event goes.</param>
    /// <param name="enclave">The enclave.</param>
    /// <param name="address">The address.</param>
    /// <param name="access">What accessed it.</param>
    /// <param name="outcome">What became of it.</param>
    /// <param name="tid">The thread that waits; 0 for the calling thread's own.</param>
    public static void Faulted(this ITrace trace, Enclave enclave, ulong address, string access, FaultOutcome outcome, int tid = 0)
    {
        ArgumentNullException.ThrowIfNull(trace);
        ArgumentNullException.ThrowIfNull(enclave);
        if (trace.Wants(TraceKinds.Fault))
        {
            TraceEvent e = new TraceEvent(TraceKinds.Fault, "fault").Add("address", address, enclave).Add("access", access);
            e.Add("enclave", enclave.Number);
            if (tid != 0)
            {
                e.Add("tid", tid);
            }

            e.Part = TracePart.Result;
            trace.Write(e.Add("outcome", outcome.ToString()));
        }
    }

    /// <summary>A page was loaded, evicted or lost. Under the enclave's lock.</summary>
    internal static void Moved(this ITrace trace, string what, Enclave enclave, in EnclavePage page, int epcPage)
    {
        if (trace.Wants(TraceKinds.Paging))
        {
            trace.Write(new TraceEvent(TraceKinds.Paging, what)
                .Add("address", enclave.Base + page.Offset, enclave)
                .Add("type", TraceNames.Of(page.Type))
                .Add("epcPage", epcPage)
                .Add("enclave", enclave.Number));
        }
    }

    /// <summary>A SECS was loaded or evicted. Under the enclave's lock.</summary>
    internal static void MovedSecs(this ITrace trace, string what, Enclave enclave, int epcPage)
    {
        if (trace.Wants(TraceKinds.Paging))
        {
            trace.Write(new TraceEvent(TraceKinds.Paging, what)
                .Add("type", TraceNames.Of(PageType.PT_SECS)).Add("epcPage", epcPage).Add("enclave", enclave.Number));
        }
    }

    /// <summary>Logical processors inside were interrupted, so that a page counts as tracked. Under the enclave's lock.</summary>
    internal static void Interrupted(this ITrace trace, Enclave enclave, int processors)
    {
        if (processors > 0 && trace.Wants(TraceKinds.Paging))
        {
            trace.Write(new TraceEvent(TraceKinds.Paging, "interrupt").Add("processors", processors).Add("enclave", enclave.Number));
        }
    }
}
