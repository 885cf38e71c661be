using SoftSgx.Architecture;
using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Supervision;
using SoftSgx.Kernel;
using SoftSgx.Kernel.Tracing;

namespace SoftSgx.Host.Tracing;

/// <summary>The events of signals, of exception reports that stand in for them, and of the program's end.</summary>
internal static class SignalTrace
{
    /// <summary>A thread gets a signal.</summary>
    internal static void Delivered(this ITrace trace, AddressSpace space, in SigInfo info)
    {
        if (!trace.Wants(TraceKinds.Signal))
        {
            return;
        }
        TraceEvent e = new(TraceKinds.Signal, SignalNames.Of(info.Signal));
        e.Add("code", SignalNames.Code(info));
        if (info.IsSynchronousFault)
        {
            e.Add("address", info.Address, EnclaveAt(space, info.Address));
        }
        else if (info.Code <= 0 || info.Signal == Interop.Native.SIGCHLD)
        {
            e.Add("pid", info.SenderPid);
        }
        trace.Write(e);
    }

    /// <summary>A thread gets the exception report of __vdso_sgx_enter_enclave.</summary>
    internal static void Reported(this ITrace trace, AddressSpace space, ulong leaf, Fault fault)
    {
        if (trace.Wants(TraceKinds.Signal))
        {
            trace.Write(new TraceEvent(TraceKinds.Signal, "vdso-exception")
                .Add("leaf", TraceNames.Value((EncluLeaf)(uint)leaf))
                .Add("vector", TraceNames.OfVector(fault.Vector))
                .Add(fault, EnclaveAt(space, fault.Address)));
        }
    }

    /// <summary>The program has ended.</summary>
    internal static void Ended(this ITrace trace, WaitStatus status)
    {
        if (trace.Wants(TraceKinds.Process))
        {
            trace.Write(status.Signaled
                ? new TraceEvent(TraceKinds.Process, "killed").Add("signal", SignalNames.Of(status.TerminatingSignal))
                : new TraceEvent(TraceKinds.Process, "exited").Add("status", status.ExitCode));
        }
    }

    private static Enclave? EnclaveAt(AddressSpace space, ulong address) =>
        space.Enclaves.TryFind(address, out EnclaveMapping mapping) ? mapping.Owner.Enclave : null;
}
