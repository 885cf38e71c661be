using System.CommandLine;
using System.CommandLine.Parsing;
using SoftSgx.Cli.Explain;
using SoftSgx.Cli.Options;
using SoftSgx.Cli.Policy;
using SoftSgx.Cli.Stats;
using SoftSgx.Cli.Tracing;
using SoftSgx.Host;
using SoftSgx.Host.Devices;
using SoftSgx.Host.Explain;
using SoftSgx.Host.Platform;
using SoftSgx.Host.Statistics;
using SoftSgx.Kernel;
using SoftSgx.Kernel.Tracing;
using SoftSgx.Processor;

namespace SoftSgx.Cli.Commands;

/// <summary><c>softsgx run [options] [--] program args…</c></summary>
internal static class RunCommand
{
    internal const string Name = "run";

    private static readonly RunOptions s_defaults = new() { ArgumentCount = 0 };

    private static readonly Option<EpcLayout> s_epc = new("--epc")
    {
        Description = "Size of the EPC that all enclaves of the run share, e.g. 64M or 1G (default 128M); or sections of it on NUMA nodes.",
        HelpName = "SIZE[@NODE][,SIZE[@NODE]…]",
        CustomParser = static result => Parsed(result, EpcOption.Parse(Text(result), out EpcLayout? layout), layout),
    };

    private static readonly Option<ReclaimSettings> s_reclaim = new("--reclaim")
    {
        Description = "How pages leave the EPC when it runs short: any of batch=16,low=32,high=64,policy=lru, which are Linux's and the default. Policies: lru, fifo, 2q.",
        HelpName = "KEY=VALUE[,…]",
        CustomParser = static result => Parsed(result, ReclaimOption.Parse(Text(result), out ReclaimSettings settings), settings),
    };

    private static readonly Option<int[]> s_poison = new("--poison")
    {
        Description = "EPC pages, numbered from 0, that suffer a memory failure before the program starts.",
        HelpName = "PAGE[,PAGE…]",
        Arity = ArgumentArity.ExactlyOne,
        CustomParser = static result => Parsed(result, PoisonOption.Parse(Text(result), out int[] pages), pages),
    };

    private static readonly Option<string> s_stats = new("--stats")
    {
        Description = "Say at the end what EPC paging did: text or json on standard error, or the name of a file: JSON, or text if it ends in .txt.",
        HelpName = "text|json|FILE",
    };

    private static readonly Option<string> s_trace = new("--trace")
    {
        Description = "Say line by line what the program does with SGX, as strace does: on standard error, or --trace=FILE: text, or JSON if it ends in .json. --trace=json: JSON on standard error.",
        HelpName = "text|json|FILE",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private static readonly Option<string> s_traceOnly = new("--trace-only")
    {
        Description = "Trace these kinds of events only: any of call,encls,enclu,exit,signal,fault,paging,process.",
        HelpName = "KIND[,KIND…]",
        CustomParser = static result => Parsed(result, TraceOption.Parse(Text(result), out _), Text(result)),
    };

    private static readonly Option<string> s_explain = new("--explain")
    {
        Description = "Say first what this machine can and cannot enforce, and why; --explain=json for scripts. Needs no program.",
        HelpName = "text|json",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private static readonly Option<bool> s_sgx1 = new("--sgx1")
    {
        Description = "The processor has SGX1 only: no pages that come or change while an enclave runs, no AEX-Notify.",
    };

    private static readonly Option<string?> s_platform = new("--platform")
    {
        Description = "The platform whose keys, processor and EPC the program finds, see softsgx platform (default: default).",
        HelpName = "NAME",
    };

    private static readonly Option<string?> s_seed = new("--seed")
    {
        Description = "A throw-away platform instead, whose keys follow from this text alone: for tests.",
        HelpName = "TEXT",
    };

    private static readonly Option<LaunchControlSetting> s_launchControl = new("--launch-control")
    {
        Description = "What firmware made of launch control: writable (default), locked to Intel's or another signer, or absent. Only with writable there are devices.",
        HelpName = "writable|locked[:MRSIGNER]|absent",
        CustomParser = static result => Parsed(result, LaunchControlSetting.Parse(Text(result), out LaunchControlSetting setting), setting),
    };

    private static readonly Option<DevicePermission> s_enclave = new("--enclave")
    {
        Description = "Who may open the enclave device, and so run enclaves (default: everyone).",
        HelpName = "everyone|root|MODE:USER:GROUP",
        CustomParser = static result => Parsed(result, DevicePermission.Parse(Text(result), out DevicePermission permission), permission),
    };

    private static readonly Option<DevicePermission> s_provision = new("--provision")
    {
        Description = "Who may open the provisioning device, and so let enclaves have the provisioning key (default: everyone).",
        HelpName = "everyone|root|MODE:USER:GROUP",
        CustomParser = static result => Parsed(result, DevicePermission.Parse(Text(result), out DevicePermission permission), permission),
    };

    private static readonly Option<string?> s_policy = new("--policy")
    {
        Description = "Who may run which enclave, and what its pages are kept from: a policy file, see softsgx policy.",
        HelpName = "FILE",
    };

    private static readonly Option<string?> s_audit = new("--audit")
    {
        Description = "Add the policy's audit lines to a file; without it they go to standard error.",
        HelpName = "FILE",
    };

    private static readonly Option<bool> s_exact = new("--exact")
    {
        Description = "Stop the program at every transition; none is done in the program itself.",
    };

    private static readonly Option<bool> s_probeMonitor = new("--probe-monitor") { Hidden = true };

    private static readonly Option<bool> s_strict = new("--strict")
    {
        Description = "Outside enclaves their memory reads as ones and writes to it vanish, while no thread of the process is inside. Entries and exits cost more.",
    };

    private static readonly Option<bool> s_genuineIntel = new("--genuine-intel")
    {
        Description = "Let CPUID report the vendor GenuineIntel, for programs that look for it.",
    };

    private static readonly Argument<string[]> s_program = new("program")
    {
        Description = "The program to run, and its arguments.",
        Arity = ArgumentArity.ZeroOrMore, // with --explain; else one or more
        HelpName = "program args",
    };

    /// <summary>What help says beyond the options.</summary>
    internal const string Details =
        """
        The program and everything that it starts find the devices /dev/sgx_enclave and /dev/sgx_provision, a processor that
        enumerates SGX, and __vdso_sgx_enter_enclave. Standard streams, signals and exit status are the program's own; softsgx ends
        when the last process has ended. SoftSGX is no security boundary: whoever owns the machine can read the enclaves.

        Examples:
          softsgx run ./my-enclave-app --its-own-option
          softsgx run --epc 64M ./my-enclave-app
          softsgx run --epc 64M@0,64M@1 ./my-enclave-app         two sections, on two NUMA nodes
          softsgx run --epc 16M --stats text ./my-enclave-app    what does a small EPC cost?
          softsgx run --trace ./my-enclave-app                   every ioctl, leaf, exit and fault, line by line
          softsgx run --trace=trace.json --trace-only call,enclu ./my-enclave-app
          softsgx run --explain                                  what holds on this machine, and what does not
          softsgx run --reclaim policy=2q,batch=32 --stats stats.json ./my-enclave-app
          softsgx run --sgx1 ./my-enclave-app                    does it run on the first SGX processors?
          softsgx run --platform ci ./my-enclave-app             on another platform: other keys
          softsgx run --seed test ./my-enclave-app               the same throw-away platform every time
          softsgx run --provision 0660:root:sgx_prv ./my-enclave-app    may its enclave have the provisioning key?
          softsgx run --policy production.json --audit audit.log ./my-enclave-app
          softsgx run --strict ./my-enclave-app                  does it touch enclave memory from outside?
          softsgx run --poison 0,17 ./my-enclave-app             does it survive memory failures?
          softsgx run bash                                       a shell in which every program finds SGX

        --strict finds programs that touch enclave memory from outside. An ECALL costs twice as much and more, milliseconds with a large
        enclave; docs/limits.md says what it does not cover.

        --reclaim: an allocation that leaves fewer than low free pages starts the reclaimer, which looks at batch pages at a time until
        high are free. lru is Linux's policy; fifo ignores what is in use; 2q keeps what is used again from being swept out. What the
        statistics mean is in docs/statistics.md, what the lines of a trace mean in docs/trace.md.

        --launch-control, platforms and the devices' permissions: docs/launch-control.md and
        docs/platform.md; policies: docs/policy.md.

        Exit status: the program's own; 125 if softsgx fails, 126 if the program cannot be executed, 127 if it is not found.
        """;

    private static readonly Option[] s_options =
    [
        s_epc, s_reclaim, s_poison, s_stats, s_trace, s_traceOnly, s_explain, s_sgx1, s_platform, s_seed, s_launchControl, s_enclave,
        s_provision, s_policy, s_audit, s_strict, s_exact, s_probeMonitor, s_genuineIntel,
    ];

    internal static Command Create()
    {
        Command command = new(Name, "Run an unmodified SGX program on this machine.");
        foreach (Option option in s_options)
        {
            command.Add(option);
        }
        command.Add(s_program);
        command.Validators.Add(static result =>
        {
            string? form = result.GetResult(s_explain) is null ? null : result.GetValue(s_explain) ?? "text";
            if (form is not (null or "text" or "json"))
            {
                result.AddError($"--explain: '{form}' is no form: give text or json.");
            }
            else if (form is null && result.GetValue(s_program) is null or { Length: 0 })
            {
                result.AddError("Give a program to run.");
            }
            if (result.GetResult(s_audit) is not null && result.GetResult(s_policy) is null)
            {
                result.AddError("--audit: without --policy nothing is denied.");
            }
            if (result.GetResult(s_seed) is not null && result.GetResult(s_platform) is not null)
            {
                result.AddError("--seed and --platform do not go together.");
            }
            else if (result.GetResult(s_seed) is not null && result.GetValue(s_seed) is not { Length: > 0 })
            {
                result.AddError("--seed: give some text.");
            }
        });
        command.SetAction(Run);
        return command;
    }

    private static int Run(ParseResult result)
    {
        string[] program = result.GetValue(s_program) ?? [];
        if (result.GetResult(s_explain) is not null)
        {
            HostFacts host = HostProbe.Look();
            IReadOnlyList<Statement> statements = Explanation.Of(host, WhyNoDevice(result));
            bool isJson = result.GetValue(s_explain) == "json";
            string text = isJson ? ExplainListing.Json(host, statements) : ExplainListing.Text(host, statements);
            if (program.Length == 0)
            {
                Console.Out.Write(text);
                return host.CanRun ? 0 : ProgramRunner.ExitOwnFailure;
            }
            StandardError.Write(text); // standard output is the program's
        }
        PlatformIdentity platform = result.GetValue(s_seed) is string seed
            ? PlatformIdentity.FromText(seed)
            : PlatformDirectory.OfThisUser.Open(result.GetValue(s_platform) ?? PlatformIdentity.DefaultName);
        RunOptions options = new()
        {
            Platform = platform,
            LaunchControl = result.GetValue(s_launchControl),
            Access = new DeviceAccess
            {
                Enclave = result.GetValue(s_enclave) ?? DevicePermission.Everyone,
                Provision = result.GetValue(s_provision) ?? DevicePermission.Everyone,
            },
            Epc = result.GetValue(s_epc) ?? EpcOption.Of(platform),
            Reclaim = result.GetValue(s_reclaim) ?? s_defaults.Reclaim,
            PoisonedPages = result.GetValue(s_poison) ?? s_defaults.PoisonedPages,
            Sgx1 = result.GetValue(s_sgx1),
            Strict = result.GetValue(s_strict),
            Exact = result.GetValue(s_exact),
            ProbeMonitor = result.GetValue(s_probeMonitor),
            GenuineIntel = result.GetValue(s_genuineIntel),
            ArgumentCount = program.Length,
        };
        // An EPC that is too small for the default watermarks is as it would be with Linux.
        if (result.GetResult(s_reclaim) is not null && ReclaimOption.Misfit(options.Reclaim, options.Epc) is string reclaim)
        {
            throw new HostException($"--reclaim: {reclaim}");
        }
        if (PoisonOption.Misfit(options.PoisonedPages, options.Epc) is string poison)
        {
            throw new HostException($"--poison: {poison}");
        }
        if (result.GetValue(s_stats) is string stats)
        {
            options = options with { Ended = StatsTarget.Open(stats).Write };
        }
        using AuditLog? audit = result.GetValue(s_audit) is string auditFile ? new AuditLog(auditFile) : null;
        if (result.GetValue(s_policy) is string policy)
        {
            options = options with { Policy = PolicyFile.Load(policy), Audit = audit };
        }
        using TraceTarget? trace = OpenTrace(result);
        return ProgramRunner.Run(options with { Trace = trace }, Messages.Error);
    }

    /// <summary>Why the platform asked for has no enclave device. The default platform is not made for this.</summary>
    private static string? WhyNoDevice(ParseResult result)
    {
        LaunchControlSetting? setting = result.GetValue(s_launchControl);
        if (setting is null && result.GetValue(s_seed) is null)
        {
            setting = PlatformDirectory.OfThisUser.Find(result.GetValue(s_platform) ?? PlatformIdentity.DefaultName)?.LaunchControl;
        }
        return setting is null ? null : LaunchControl.WhyNoDevice(setting.Apply(new ProcessorConfiguration()));
    }

    private static TraceTarget? OpenTrace(ParseResult result)
    {
        string? only = result.GetValue(s_traceOnly);
        TraceKinds kinds = TraceKinds.All;
        if (only is not null)
        {
            _ = TraceOption.Parse(only, out kinds);
        }
        return only is null && result.GetResult(s_trace) is null ? null : TraceTarget.Open(result.GetValue(s_trace), kinds);
    }

    private static string Text(ArgumentResult result) => result.Tokens.Count == 1 ? result.Tokens[0].Value : "";

    private static T? Parsed<T>(ArgumentResult result, string? problem, T? value)
        where T : class
    {
        if (problem is not null)
        {
            result.AddError($"{((OptionResult)result.Parent!).Option.Name}: {problem}");
        }
        return value;
    }

    /// <summary>
    /// Puts <c>--</c> before the program's name: everything from there on is the program's, whatever options of ours it looks like.
    /// </summary>
    internal static string[] SeparateProgram(string[] args)
    {
        if (args.Length == 0 || args[0] != Name)
        {
            return args;
        }
        int at = 1;
        while (at < args.Length && args[at].StartsWith('-') && args[at] != "--")
        {
            at += s_options.Any(option => option.Name == args[at] && option.Arity.MinimumNumberOfValues > 0) ? 2 : 1;
        }
        return at >= args.Length || args[at] == "--" ? args : [.. args[..at], "--", .. args[at..]];
    }
}
