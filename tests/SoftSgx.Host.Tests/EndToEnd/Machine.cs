using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;

namespace SoftSgx.Host.Tests.EndToEnd;

/// <summary>Builds programs and runs them, plainly or under <c>softsgx run</c>.</summary>
internal static class Machine
{
    /// <summary>Guards against a hang; no test waits for it otherwise.</summary>
    private const int DefaultSeconds = 120;

    private static readonly string s_root = FindRoot();
    private static readonly string s_programs = Path.Combine(s_root, "artifacts", "end-to-end");
    private static readonly ConcurrentDictionary<string, Lazy<string>> s_built = new();

    private static readonly Lazy<string> s_command = new(static () =>
    {
        string command = Path.Combine(s_root, "softsgx");
        _ = Start(command, ["run", "true"]); // builds it when sources changed
        return command;
    });

    /// <summary>The launcher script.</summary>
    internal static string Softsgx => s_command.Value;

    /// <summary>The folder of this file's native programs.</summary>
    internal static string Sources => Path.Combine(s_root, "tests", "SoftSgx.Host.Tests", "EndToEnd", "native");

    /// <summary>Builds <c>native/NAME.c</c>; the path of the program.</summary>
    internal static string Build(string name, params string[] flags)
    {
        string target = Path.Combine(s_programs, name + string.Concat(flags).Replace('/', '_'));
        return Once(target, () => Compile(target, ["-O1", "-g", "-Wall", "-Wextra", "-pthread", "-o", target, Path.Combine(Sources, name + ".c"), .. flags]));
    }

    /// <summary>Builds <c>native/NAME.c</c> with some sources of the samples' library.</summary>
    internal static string BuildWith(string name, params string[] library)
    {
        string target = Path.Combine(s_programs, name);
        string[] sources = [.. library.Select(static file => Path.Combine(s_root, "samples", "lib", file))];
        return Once(target, () => Compile(target, ["-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", target, Path.Combine(Sources, name + ".c"), .. sources]));
    }

    /// <summary>Builds a program of the samples' library and its enclave, <c>native/NAME.c</c> and <c>native/NAME_enclave.c</c>.</summary>
    internal static string BuildWithEnclave(string name)
    {
        string target = Path.Combine(s_programs, name);
        return Once(target, () => Check(Start("/bin/sh", [Path.Combine(Sources, "build-with-enclave"), s_root, s_programs, name])));
    }

    /// <summary>The folder of the programs that check the SGX interface.</summary>
    internal static string NativeTests => Path.Combine(s_root, "tests", "native");

    /// <summary>Builds a program of <see cref="NativeTests"/>; its path.</summary>
    internal static string BuildNativeTest(string name) => BuildByScript(Path.Combine(NativeTests, "build"), "native-tests", name);

    /// <summary>Builds a sample; its path.</summary>
    internal static string BuildSample(string name) => BuildByScript(Path.Combine(s_root, "samples", "build"), "samples", name);

    private static string BuildByScript(string script, string folder, string name)
    {
        string output = Path.Combine(s_root, "artifacts", folder);
        string target = Path.Combine(output, name);
        return Once(target, () => Check(Start("/bin/sh", [script, output, name])));
    }

    /// <summary>An empty folder that goes when it is disposed of.</summary>
    internal static TemporaryFolder NewFolder() => new();

    /// <summary>Runs a command as it is.</summary>
    internal static Outcome Run(IReadOnlyList<string> command, byte[]? input = null, int seconds = DefaultSeconds, string? folder = null)
    {
        string waiter = Build("waiter");
        string report = Path.GetTempFileName();
        try
        {
            ProcessStartInfo start = new(waiter, [report, seconds.ToString(System.Globalization.CultureInfo.InvariantCulture), .. command])
            {
                RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
                WorkingDirectory = folder ?? s_programs,
            };
            foreach (string name in (List<string>)[.. start.Environment.Keys])
            {
                if (name is not ("PATH" or "HOME"))
                {
                    start.Environment.Remove(name); // of the test's runner
                }
            }
            using Process process = Process.Start(start)!;
            Task<byte[]> output = ReadAll(process.StandardOutput.BaseStream), error = ReadAll(process.StandardError.BaseStream);
            try
            {
                process.StandardInput.BaseStream.Write(input ?? []);
                process.StandardInput.Close();
            }
            catch (IOException)
            {
                // It ended without reading.
            }
            process.WaitForExit();
            string[] lines = File.ReadAllLines(report);
            string[] left = [.. lines.Where(static line => line.StartsWith("left ", StringComparison.Ordinal)).Select(static line => line[5..])];
            return new Outcome(lines.FirstOrDefault() ?? "no report", left, output.GetAwaiter().GetResult(), error.GetAwaiter().GetResult());
        }
        finally
        {
            File.Delete(report);
        }
    }

    /// <summary>Runs a program under <c>softsgx run</c>.</summary>
    internal static Outcome Supervised(params string[] program) => Run([Softsgx, "run", .. program]);

    /// <summary>
    /// Runs a shell's script in which <c>$RUN</c> stands before the program: once empty, once <c>softsgx run</c>. Both must end,
    /// and say on both streams, the same; it is returned for more checks. <c>$P</c> is the folder of the programs.
    /// </summary>
    internal static Outcome SameAsPlain(string script, byte[]? input = null, Func<string, string>? normalize = null)
    {
        normalize ??= static text => text;
        using TemporaryFolder folder = NewFolder();
        Outcome plain = Script(script, "", input, folder.Path);
        folder.Empty();
        Outcome supervised = Script(script, Softsgx + " run", input, folder.Path);
        Assert.True(
            plain.End == supervised.End && supervised.Left.Count == 0
                && normalize(plain.Text) == normalize(supervised.Text) && normalize(plain.ErrorText) == normalize(supervised.ErrorText),
            $"plain: {plain.End}; supervised: {supervised.End}, left: [{string.Join("; ", supervised.Left)}]\n"
                + Difference(normalize(plain.Text), normalize(supervised.Text)) + Difference(normalize(plain.ErrorText), normalize(supervised.ErrorText)));
        return supervised;
    }

    /// <summary>Runs a shell's script with the command that is to stand before programs in <c>$RUN</c>.</summary>
    internal static Outcome Script(string script, string run, byte[]? input = null, string? folder = null) =>
        Run(["/bin/sh", "-c", $"export P='{s_programs}'; RUN='{run}'; {script}"], input, folder: folder);

    private static string Difference(string plain, string supervised)
    {
        string[] left = plain.Split('\n'), right = supervised.Split('\n');
        StringBuilder text = new();
        foreach (string line in left.Except(right))
        {
            text.Append("- ").Append(line).Append('\n');
        }
        foreach (string line in right.Except(left))
        {
            text.Append("+ ").Append(line).Append('\n');
        }
        return text.ToString();
    }

    private static string Once(string target, Action build) => s_built.GetOrAdd(target, key => new Lazy<string>(() =>
    {
        Directory.CreateDirectory(s_programs);
        build();
        return key;
    })).Value;

    private static void Compile(string target, IReadOnlyList<string> arguments)
    {
        string source = arguments.First(static argument => argument.EndsWith(".c", StringComparison.Ordinal));
        if (File.Exists(target) && File.GetLastWriteTimeUtc(target) > File.GetLastWriteTimeUtc(source))
        {
            return;
        }
        Check(Start("gcc", arguments));
    }

    private static void Check((int Status, string Text) result) => Assert.True(result.Status == 0, result.Text);

    private static (int Status, string Text) Start(string program, IReadOnlyList<string> arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + error.GetAwaiter().GetResult());
    }

    private static async Task<byte[]> ReadAll(Stream stream)
    {
        using MemoryStream bytes = new();
        await stream.CopyToAsync(bytes).ConfigureAwait(false);
        return bytes.ToArray();
    }

    private static string FindRoot()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "SoftSgx.slnx")))
        {
            folder = folder.Parent;
        }
        return folder?.FullName ?? throw new InvalidOperationException("The tests do not lie in the repository.");
    }
}

/// <summary>A folder that is deleted with everything in it.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("softsgx-e2e-");

    internal string Path => _folder.FullName;

    /// <summary>Deletes what is in it.</summary>
    internal void Empty()
    {
        _folder.Delete(recursive: true);
        _folder.Create();
    }

    public void Dispose()
    {
        try
        {
            _folder.Delete(recursive: true);
        }
        catch (IOException)
        {
            // A process that is being killed still writes there: the system's cleaner takes it.
        }
    }
}
