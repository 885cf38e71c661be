using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using SoftSgx.Kernel;
using SoftSgx.Simulation;

namespace SoftSgx.Cli.Commands;

/// <summary><c>softsgx simulate</c>: runs an access trace against EPC sizes and replacement policies.</summary>
internal static class SimulateCommand
{
    internal const string Name = "simulate";

    internal const string Details =
        """
        Runs accesses to enclave pages through the same kernel code that pages real enclaves, on a simulated machine: how often would
        they fault with an EPC of that size? Nothing is executed and no page has contents, so an EPC of 64G and enclaves of 1T fit into
        an ordinary machine. The result depends on the options alone.

        Patterns, one for all enclaves or one for each:
          sequential           one page after the other, over and over
          uniform              every page equally often
          zipf:EXPONENT        few pages often, many rarely; 0.6 to 1.2 is what programs do
          phases:SIZE,COUNT    a working set of SIZE that moves every COUNT accesses

        Sizes are in bytes or with K, M, G, T (powers of 1,024), counts plain or with K, M, G, T (powers of 1,000).

        Examples:
          softsgx simulate --epc 96M --enclave 256M --pattern zipf:0.9 --accesses 10M --policy lru,fifo,2q --seed 1
          softsgx simulate --epc 64M,128M,256M,512M --trace FILE                  how much EPC does this need?
          softsgx simulate --enclave 64M,1G --pattern uniform --pattern zipf:1 --epc 128M --interval 1M
          softsgx simulate --enclave 256M --pattern phases:32M,500K --write-trace FILE
          softsgx simulate --trace FILE --write-trace FILE.txt                    one format becomes the other

        With --write-trace nothing is simulated unless --epc is given.

        Exit status: 0; 1 if a file cannot be read or written, is no trace, or an EPC is too small; 2 for wrong options.
        """;

    private const ulong DefaultEpc = 128UL << 20;
    private const ulong DefaultEnclave = 256UL << 20;
    private const long DefaultAccesses = 10_000_000;
    private const string DefaultPattern = "zipf:0.9";
    private const int ExitFailure = 1;

    private static readonly (string Name, ReplacementPolicyKind Kind)[] s_policies =
    [
        ("lru", ReplacementPolicyKind.Lru),
        ("fifo", ReplacementPolicyKind.Fifo),
        ("2q", ReplacementPolicyKind.TwoQueues),
    ];

    private static readonly Option<ulong[]> s_epc = new("--epc")
    {
        Description = "Sizes of the EPC, such as 96M or 64M,128M,256M.",
        HelpName = "SIZE,…",
        DefaultValueFactory = static _ => [DefaultEpc],
        CustomParser = static result => ParseList(result, ParseEpc),
    };

    private static readonly Option<ReplacementPolicyKind[]> s_policy = new("--policy")
    {
        Description = "Replacement policies: lru (Linux's), fifo, 2q.",
        HelpName = "NAME,…",
        DefaultValueFactory = static _ => [ReplacementPolicyKind.Lru],
        CustomParser = static result => ParseList(result, ParsePolicy),
    };

    private static readonly Option<ulong[]> s_enclave = new("--enclave")
    {
        Description = "Sizes of the enclaves, such as 256M or 64M,1G.",
        HelpName = "SIZE,…",
        DefaultValueFactory = static _ => [DefaultEnclave],
        CustomParser = static result => ParseList(result, ParseEnclave),
    };

    private static readonly Option<string[]> s_pattern = new("--pattern")
    {
        Description = "Which pages are accessed; once, or once for each enclave.",
        HelpName = "PATTERN",
        DefaultValueFactory = static _ => [DefaultPattern],
        AllowMultipleArgumentsPerToken = false,
    };

    private static readonly Option<long> s_accesses = new("--accesses")
    {
        Description = "How many accesses.",
        HelpName = "COUNT",
        DefaultValueFactory = static _ => DefaultAccesses,
        CustomParser = static result => ParseCount(result),
    };

    private static readonly Option<ulong> s_seed = new("--seed")
    {
        Description = "What chance starts from.",
        HelpName = "NUMBER",
        DefaultValueFactory = static _ => 1,
    };

    private static readonly Option<string?> s_trace = new("--trace") { Description = "Take the accesses from a file.", HelpName = "FILE" };

    private static readonly Option<string?> s_writeTrace = new("--write-trace")
    {
        Description = "Write the accesses to a file: as text if its name ends in .txt, else binary.",
        HelpName = "FILE",
    };

    private static readonly Option<long> s_interval = new("--interval")
    {
        Description = "Tell how it went in intervals of so many accesses, too.",
        HelpName = "COUNT",
        CustomParser = static result => ParseCount(result),
    };

    private static readonly Option<int> s_batch = new("--batch")
    {
        Description = "Pages that the reclaimer looks at in one go.",
        HelpName = "PAGES",
        DefaultValueFactory = static _ => new ReclaimSettings().Batch,
    };

    private static readonly Option<bool> s_json = new("--json") { Description = "Print JSON, for scripts." };

    internal static Command Create()
    {
        Command command = new(Name, "Run access patterns or traces against EPC sizes and replacement policies.")
        {
            s_epc, s_policy, s_enclave, s_pattern, s_accesses, s_seed, s_trace, s_writeTrace, s_interval, s_batch, s_json,
        };
        command.Validators.Add(Validate);
        command.SetAction(static result => Run(result));
        return command;
    }

    private static void Validate(CommandResult result)
    {
        foreach (Option option in new Option[] { s_enclave, s_pattern, s_accesses, s_seed })
        {
            if (IsGiven(result, s_trace) && IsGiven(result, option))
            {
                result.AddError($"{option.Name} and --trace do not go together.");
                return;
            }
        }

        if (!IsGiven(result, s_trace) && Patterns(result, out string? problem) is null)
        {
            result.AddError(problem!);
        }
        else if (IsGiven(result, s_batch) && Settings(result.GetValue(s_batch)).Problem is { } wrong)
        {
            result.AddError($"{wrong}.");
        }
    }

    private static bool IsGiven(CommandResult result, Option option) => result.GetResult(option) is { Implicit: false };

    private static ReclaimSettings Settings(int batch) => new() { Batch = batch };

    // One pattern for each enclave.
    private static PatternSpec[]? Patterns(CommandResult result, out string? problem)
    {
        // A validator does not see the defaults of what is not given.
        string[] texts = IsGiven(result, s_pattern) ? result.GetValue(s_pattern)! : [DefaultPattern];
        int enclaves = IsGiven(result, s_enclave) ? result.GetValue(s_enclave)!.Length : 1;
        problem = texts.Length == 1 || texts.Length == enclaves ? null : $"there are {enclaves} enclaves and {texts.Length} patterns.";
        PatternSpec[] specs = new PatternSpec[texts.Length];
        for (int i = 0; i < texts.Length && problem is null; i++)
        {
            if (PatternSpec.TryParse(texts[i], out PatternSpec? spec, out string? wrong))
            {
                specs[i] = spec!;
            }
            else
            {
                problem = $"{wrong}.";
            }
        }

        return problem is not null ? null : texts.Length == enclaves ? specs : [.. Enumerable.Repeat(specs[0], enclaves)];
    }

    private static int Run(ParseResult result)
    {
        using CancellationTokenSource cancellation = new();
        try
        {
            Trace trace = TraceOf(result);
            if (result.GetValue(s_writeTrace) is { } path)
            {
                Write(trace, path);
                if (!IsGiven(result.CommandResult, s_epc))
                {
                    return 0;
                }
            }

            Simulate(trace, result, cancellation.Token);
            return 0;
        }
        catch (Exception e) when (e is SimulationException or InvalidDataException or IOException or UnauthorizedAccessException)
        {
            string file = e is InvalidDataException ? $"{result.GetValue(s_trace)}, " : "";
            Messages.Error($"{file}{e.Message}");
            return ExitFailure;
        }
    }

    private static Trace TraceOf(ParseResult result)
    {
        if (result.GetValue(s_trace) is { } path)
        {
            return new TraceFile(path);
        }

        ulong[] sizes = result.GetValue(s_enclave)!;
        PatternSpec[] patterns = Patterns(result.CommandResult, out _)!;
        return new GeneratedTrace(
            [.. sizes.Select((size, i) => new GeneratedEnclave(new TraceEnclave(size / EpcPool.PageSize, 1), patterns[i]))],
            result.GetValue(s_accesses),
            result.GetValue(s_seed));
    }

    private static void Write(Trace trace, string path)
    {
        TraceFormat format = path.EndsWith(".txt", StringComparison.OrdinalIgnoreCase) ? TraceFormat.Text : TraceFormat.Binary;
        using FileStream file = new(path, FileMode.Create, FileAccess.Write);
        TraceWriter.Copy(trace, file, format);
    }

    private static void Simulate(Trace trace, ParseResult result, CancellationToken cancellation)
    {
        SimulationOptions options = new()
        {
            EpcPages = 1,
            Reclaim = Settings(result.GetValue(s_batch)),
            Interval = result.GetValue(s_interval),
        };
        using ProgressLine progress = new();
        IReadOnlyList<SimulationResult> results = Simulator.Compare(
            trace,
            [.. result.GetValue(s_epc)!.Select(static bytes => (int)(bytes / EpcPool.PageSize))],
            result.GetValue(s_policy)!,
            options,
            progress.Report,
            cancellation);
        progress.Dispose();
        Console.Out.Write(result.GetValue(s_json) ? SimulationReport.Json(trace, results) : SimulationReport.Text(results));
    }

    internal static string PolicyName(ReplacementPolicyKind kind) => Array.Find(s_policies, policy => policy.Kind == kind).Name;

    private delegate T? ElementParser<T>(string text, out string? problem);

    private static T[] ParseList<T>(ArgumentResult result, ElementParser<T> parse)
    {
        string text = result.Tokens.Count == 1 ? result.Tokens[0].Value : "";
        List<T> values = [];
        foreach (string element in text.Split(','))
        {
            T? value = parse(element, out string? problem);
            if (problem is not null)
            {
                result.AddError(problem);
                return [];
            }

            values.Add(value!);
        }

        return [.. values];
    }

    private static ulong ParseEpc(string text, out string? problem)
    {
        problem = ByteSize.TryParse(text, out ulong bytes) ? null : $"'{text}' is no size of an EPC: a multiple of 4K from 64K to 512G.";
        return bytes;
    }

    private static ulong ParseEnclave(string text, out string? problem)
    {
        bool isGood = Quantity.TryParse(text, out ulong bytes)
            && bytes % EpcPool.PageSize == 0
            && new TraceEnclave(bytes / EpcPool.PageSize, 1).Problem is null;
        problem = isGood
            ? null
            : $"'{text}' is no size of an enclave: a multiple of 4K up to {Quantity.Format(TraceEnclave.MaximumPages * EpcPool.PageSize)}.";
        return bytes;
    }

    private static ReplacementPolicyKind ParsePolicy(string text, out string? problem)
    {
        int found = Array.FindIndex(s_policies, policy => policy.Name == text);
        problem = found < 0 ? $"'{text}' is no policy: {string.Join(", ", s_policies.Select(static policy => policy.Name))}." : null;
        return found < 0 ? default : s_policies[found].Kind;
    }

    private static long ParseCount(ArgumentResult result)
    {
        string text = result.Tokens.Count == 1 ? result.Tokens[0].Value : "";
        if (!Quantity.TryParseCount(text, out long count) || count == 0)
        {
            result.AddError(string.Create(CultureInfo.InvariantCulture, $"'{text}' is no count: such as 1000, 500K or 10M."));
        }

        return count;
    }
}
