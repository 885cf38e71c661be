using SoftSgx.Bench.Host;
using SoftSgx.Bench.Images;
using SoftSgx.Bench.Kernel;
using SoftSgx.Bench.Processor;
using SoftSgx.Bench.Simulation;

namespace SoftSgx.Bench;

/// <summary>One benchmark: what it is called on the command line, what it measures, and how.</summary>
internal sealed record Benchmark(string Name, string Summary, Action Run);

/// <summary>All benchmarks, in the order in which "all" runs them.</summary>
internal static class Benchmarks
{
    /// <summary>The table.</summary>
    public static IReadOnlyList<Benchmark> All { get; } =
    [
        new("enclave-build", "ECREATE, EADD and EEXTEND of a whole enclave, against one SHA-256 over the same measured bytes", EnclaveBuild.Run),
        new("measure", "MRENCLAVE of measured, zero and unmeasured pages, against one SHA-256 over the same bytes; memory", Measuring.Run),
        new("enter-exit", "EENTER and EEXIT, and an asynchronous exit with ERESUME, in the model", EnterExit.Run),
        new("report-key", "EREPORT and EGETKEY, against the bare CMACs that they consist of", ReportKey.Run),
        new("paging-leaves", "EWB and ELDU, against a bare AES-GCM-128 of a page", PagingLeaves.Run),
        new("simulation", "accesses and paging cycles of a simulation without contents, by pattern, policy and size", SimulatedPaging.Run),
        new("policy", "building an enclave with a policy of 1,000 rules against without one", PolicyChecks.Run),
        new("ecall", "an empty ECALL by the supervisor (--exact) against two bare ptrace stops; computing inside against outside", EcallUnderSupervision.Run),
        new("transitions", "ECALLs without a trap against a system call; 64 threads against one; computing under signals", Transitions.Run),
        new("traced", "an empty ECALL with --trace, told by the program itself, against --exact --trace", TracedTransitions.Run),
        new("paging", "pages evicted and loaded in a live program, against userfaultfd, AES-GCM and punching holes alone", LivePaging.Run),
        new("interface", "system calls and processes under softsgx against without; ECALLs of 64 threads against one", ProgramInterface.Run),
        new("start", "softsgx run true against true, and what the supervisor holds in memory", ProgramStart.Run),
    ];
}
