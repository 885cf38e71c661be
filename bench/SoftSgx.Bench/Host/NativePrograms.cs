using System.Diagnostics;
using System.Globalization;

namespace SoftSgx.Bench.Host;

/// <summary>The benchmarks in C (bench/native), built by gcc, and the published softsgx command.</summary>
internal static class NativePrograms
{
    private static readonly string s_root = FindRoot();
    private static readonly string s_output = Path.Combine(s_root, "artifacts", "bench-native");

    /// <summary>The launcher of the checkout.</summary>
    public static string SoftSgx => Path.Combine(s_root, "softsgx");

    /// <summary>Path of a native benchmark.</summary>
    public static string PathOf(string name) => Path.Combine(s_output, name);

    /// <summary>Builds them, and the command.</summary>
    public static void Build()
    {
        Run("/bin/sh", Path.Combine(s_root, "bench", "native", "build"), s_output);
        Run(SoftSgx, "--version");
    }

    /// <summary>Runs a program to its end; its standard output. Throws if it fails.</summary>
    public static string Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{program} ended with status {process.ExitCode}");
    }

    /// <summary>Reads a program's lines "name value unit".</summary>
    public static IReadOnlyDictionary<string, double> Figures(string output) =>
        output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(static line => line.Split(' '))
            .ToDictionary(static words => words[0], static words => double.Parse(words[1], CultureInfo.InvariantCulture));

    private static string FindRoot()
    {
        DirectoryInfo? directory = new(AppContext.BaseDirectory);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "SoftSgx.slnx")))
        {
            directory = directory.Parent;
        }
        return directory?.FullName ?? throw new InvalidOperationException("The benchmarks run from a checkout.");
    }
}
