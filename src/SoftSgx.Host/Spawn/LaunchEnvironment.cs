using System.Globalization;
using System.Text;
using SoftSgx.Host.Interop;

namespace SoftSgx.Host.Spawn;

/// <summary>What the shell gave us before the .NET runtime changed it, so that the program gets it back.</summary>
/// <remarks>
/// The runtime raises the soft limit of open files and ignores SIGPIPE. The launcher script notes both in
/// <c>SOFTSGX_LAUNCH=nofile=N,sigign=HEX</c>, and the environment that it got itself, bytes that no shell leaves alone, in
/// <c>SOFTSGX_LAUNCH_ENVIRON_0</c> and on: /proc/PID/environ in base64, cut into pieces. The program sees none of these. Without
/// the launcher the usual defaults are assumed.
/// </remarks>
internal sealed class LaunchEnvironment
{
    internal const string VariableName = "SOFTSGX_LAUNCH";

    /// <summary>The soft limit of open files, or null to leave it as it is.</summary>
    internal ulong? OpenFilesSoftLimit { get; private init; }

    /// <summary>Signals that the program finds ignored; bit n-1 is signal n.</summary>
    internal ulong IgnoredSignals { get; private init; }

    /// <summary>The program's environment as raw bytes, in the order and encoding in which we got it.</summary>
    internal IReadOnlyList<byte[]> Environment { get; private init; } = [];

    internal static LaunchEnvironment Read()
    {
        ulong? limit = null;
        // SIGPIPE is ignored by the runtime itself: not taken from what we see, only from what the launcher saw.
        ulong ignored = ProcStatus.Mask("self", "SigIgn") & ~SignalBit(Native.SIGPIPE);
        foreach (string part in (System.Environment.GetEnvironmentVariable(VariableName) ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            if (part.StartsWith("nofile=", StringComparison.Ordinal) && ulong.TryParse(part[7..], NumberStyles.None, CultureInfo.InvariantCulture, out ulong files))
            {
                limit = files;
            }
            else if (part.StartsWith("sigign=", StringComparison.Ordinal) && ulong.TryParse(part[7..], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong mask))
            {
                ignored = mask;
            }
        }
        return new LaunchEnvironment { OpenFilesSoftLimit = limit, IgnoredSignals = ignored, Environment = ReadEnvironment() };
    }

    /// <summary>The last <paramref name="count"/> arguments of our own command line as raw bytes: text would lose invalid UTF-8.</summary>
    internal static IReadOnlyList<byte[]> RawArguments(int count)
    {
        List<byte[]> all = SplitAtZeros(File.ReadAllBytes("/proc/self/cmdline"));
        return all.GetRange(all.Count - count, count);
    }

    private static List<byte[]> ReadEnvironment()
    {
        StringBuilder pieces = new();
        for (int i = 0; System.Environment.GetEnvironmentVariable(VariableName + "_ENVIRON_" + i.ToString(CultureInfo.InvariantCulture)) is string piece; i++)
        {
            pieces.Append(piece);
        }
        try
        {
            if (pieces.Length > 0)
            {
                return SplitAtZeros(Convert.FromBase64String(pieces.ToString()));
            }
        }
        catch (FormatException)
        {
            // Not the launcher's: somebody else set a variable of that name.
        }
        List<byte[]> pairs = SplitAtZeros(File.ReadAllBytes("/proc/self/environ"));
        pairs.RemoveAll(static pair => pair.AsSpan().StartsWith("SOFTSGX_LAUNCH"u8));
        return pairs;
    }

    private static List<byte[]> SplitAtZeros(byte[] bytes)
    {
        List<byte[]> parts = [];
        for (int start = 0; start < bytes.Length;)
        {
            int length = bytes.AsSpan(start).IndexOf((byte)0);
            length = length < 0 ? bytes.Length - start : length;
            parts.Add(bytes.AsSpan(start, length).ToArray());
            start += length + 1;
        }
        return parts;
    }

    internal static ulong SignalBit(int signal) => 1UL << (signal - 1);
}
