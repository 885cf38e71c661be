using System.CommandLine;
using System.Diagnostics;
using System.Runtime.Intrinsics.X86;
using System.Text.Json;
using SoftSgx.Cli.Stats;
using SoftSgx.Host;

namespace SoftSgx.Cli.Commands;

/// <summary><c>softsgx demo</c>: builds the samples and runs them, saying what happens.</summary>
internal static class DemoCommand
{
    internal const string Name = "demo";

    internal const string Details =
        """
        Builds three small SGX programs with gcc and runs them under `softsgx run`. They know nothing of SoftSGX and would run
        unchanged on SGX hardware:
          hello        an enclave is built, measured, entered and left; it computes, and proves who it is with a REPORT
          exceptions   a division by zero and a page fault inside an enclave, reported, repaired and resumed
          threads      several threads in one enclave at once
        and, if they are named:
          seal         a secret sealed with a key that only this signer's enclaves get, and only on this platform
          v22          the interface of the patch series v22 (2019), for kernels that never were: ADD_PAGE, SET_ATTRIBUTE

        With --paging, another sample instead: an enclave of 64 MiB works in an EPC of 16 MiB, so its pages leave the EPC and come back
        all the time, and every word that it reads is checked. Then the counters of --stats, explained. It takes less than a minute.

        Examples:
          softsgx demo
          softsgx demo hello
          softsgx demo v22
          softsgx demo --paging

        Exit status: 0 if every sample did what it should, else 1; 125 if something is missing to build or run them.
        """;

    private static readonly string[] s_samples = ["hello", "exceptions", "threads"];
    private static readonly string[] s_onDemand = ["seal", "v22"];

    private static readonly Argument<string[]> s_names = new("sample")
    {
        Description = "The samples to run: hello, exceptions, threads, seal, v22. The first three if none is named.",
        Arity = ArgumentArity.ZeroOrMore,
        HelpName = "sample",
    };

    private static readonly Option<bool> s_paging = new("--paging") { Description = "Show EPC paging: an enclave of four times the EPC's size." };

    internal static Command Create()
    {
        s_names.AcceptOnlyFromAmong([.. s_samples, .. s_onDemand]);
        Command command = new(Name, "Build the samples and run them, with an explanation.") { s_names, s_paging };
        command.Validators.Add(static result =>
        {
            if (result.GetResult(s_paging) is not null && result.GetResult(s_names) is { Tokens.Count: > 0 })
            {
                result.AddError("--paging has a sample of its own: name none.");
            }
        });
        command.SetAction(static result =>
            result.GetValue(s_paging) ? RunPaging() : Run(result.GetValue(s_names) is { Length: > 0 } names ? names : s_samples));
        return command;
    }

    private static int Run(string[] names)
    {
        string root = SourceRoot();
        string output = Path.Combine(root, "artifacts", "samples");
        Explain();
        Build(root, output, names);
        List<string> failed = [];
        foreach (string name in names)
        {
            Heading($"softsgx run {Shown(Path.Combine(output, name))}");
            if (ExecuteSoftsgx([RunCommand.Name, Path.Combine(output, name)]) != 0)
            {
                failed.Add(name);
            }
        }
        Heading(failed.Count == 0 ? "All samples did what they should." : $"Failed: {string.Join(", ", failed)}");
        return failed.Count == 0 ? 0 : 1;
    }

    private static int RunPaging()
    {
        string root = SourceRoot();
        string output = Path.Combine(root, "artifacts", "samples");
        string program = Path.Combine(output, PagingDemo.Sample);
        string statistics = program + ".stats.json";
        Build(root, output, [PagingDemo.Sample]);
        Console.WriteLine();
        Console.WriteLine(PagingDemo.Introduction);
        string[] arguments = PagingDemo.Arguments(program, statistics);
        string[] shown = PagingDemo.Arguments(Shown(program), Shown(statistics));
        Heading($"softsgx {string.Join(' ', shown)}");
        File.Delete(statistics);
        int status = ExecuteSoftsgx(arguments);
        if (!File.Exists(statistics) || new FileInfo(statistics).Length == 0)
        {
            return 1; // softsgx has said why
        }
        Heading("What paging did");
        Console.WriteLine(PagingDemo.Explanation(JsonSerializer.Deserialize(File.ReadAllText(statistics), StatsJson.Default.StatsDocument)!));
        Console.WriteLine($"All counters: {Shown(statistics)}");
        Heading(status == 0 ? "Every word that the enclave read was the word that it had written." : $"Failed: {PagingDemo.Sample} ended with status {status}");
        return status == 0 ? 0 : 1;
    }

    private static string Shown(string path) => Path.GetRelativePath(Environment.CurrentDirectory, path);

    private static void Build(string root, string output, string[] names)
    {
        Heading($"Building {string.Join(", ", names)} with gcc");
        int built = Execute("/bin/sh", [Path.Combine(root, "samples", "build"), output, .. names]);
        if (built != 0)
        {
            throw new HostException($"the samples could not be built (samples/build ended with status {built})");
        }
    }

    private static void Explain()
    {
        bool hasSgx = ((X86Base.CpuId(7, 0).Ebx >> 2) & 1) != 0;
        bool hasDevice = File.Exists("/dev/sgx_enclave");
        Console.WriteLine(
            $"""
            This machine: {Processor()}
              CPUID leaf 7, EBX bit 2 (SGX): {(hasSgx ? "set" : "clear")}     /dev/sgx_enclave: {(hasDevice ? "there" : "not there")}
              {(hasSgx && hasDevice ? "It has SGX; the samples would run here without softsgx too." : "So no SGX program runs here by itself. Under `softsgx run` they find a processor with SGX:")}
              an Enclave Page Cache of 128 MiB (32,768 pages of 4 KiB; --epc SIZE changes it), the two SGX devices, and the
              vDSO function that enters enclaves. What follows is printed by the programs themselves.
            """);
    }

    private static string Processor()
    {
        foreach (string line in File.ReadLines("/proc/cpuinfo"))
        {
            if (line.StartsWith("model name", StringComparison.Ordinal))
            {
                return line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
            }
        }
        return "x86-64";
    }

    /// <summary>The checkout, two levels above the published command.</summary>
    private static string SourceRoot()
    {
        string root = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", ".."));
        return File.Exists(Path.Combine(root, "samples", "build"))
            ? root
            : throw new HostException($"the samples are not at {Path.Combine(root, "samples")}: run softsgx from its checkout");
    }

    private static int ExecuteSoftsgx(string[] arguments) =>
        Execute(Environment.ProcessPath!, ["exec", Path.Combine(AppContext.BaseDirectory, "softsgx.dll"), .. arguments]);

    private static int Execute(string program, string[] arguments)
    {
        Console.Out.Flush();
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { UseShellExecute = false })!;
        process.WaitForExit();
        return process.ExitCode;
    }

    private static void Heading(string text)
    {
        bool colour = !Console.IsOutputRedirected && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));
        Console.WriteLine();
        Console.WriteLine(colour ? $"\e[1m== {text}\e[0m" : $"== {text}");
    }
}
