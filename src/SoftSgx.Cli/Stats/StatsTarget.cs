using System.Text;
using System.Text.Json;
using SoftSgx.Cli.Options;
using SoftSgx.Host;
using SoftSgx.Host.Statistics;

namespace SoftSgx.Cli.Stats;

/// <summary>Where the statistics of a run go, and in which form: <c>text</c>, <c>json</c> or a file.</summary>
internal sealed class StatsTarget
{
    private readonly FileStream? _file;
    private readonly string _name;
    private readonly bool _isText;

    private StatsTarget(FileStream? file, string name, bool isText)
    {
        _file = file;
        _name = name;
        _isText = isText;
    }

    /// <summary>Opens the target now, so that a file that cannot be written is known before the program starts.</summary>
    /// <param name="value"><c>text</c> and <c>json</c> mean standard error; else a file's name: text if it ends in .txt, else JSON.</param>
    /// <exception cref="HostException">The file cannot be written.</exception>
    internal static StatsTarget Open(string value)
    {
        if (value is "text" or "json")
        {
            return new StatsTarget(null, "standard error", value == "text");
        }
        return new StatsTarget(OutputFile.Open("--stats", value), value, value.EndsWith(".txt", StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>Writes the statistics.</summary>
    internal void Write(RunStatistics run)
    {
        StatsDocument document = StatsDocument.Of(run);
        string text = _isText ? StatsText.Write(document) : JsonSerializer.Serialize(document, StatsJson.Default.StatsDocument) + "\n";
        if (_file is null)
        {
            StandardError.Write(text);
            return;
        }
        try
        {
            _file.Write(Encoding.UTF8.GetBytes(text));
            _file.Dispose(); // here, not at the end: a program that a signal killed takes this process with it
        }
        catch (IOException e)
        {
            Messages.Error($"the statistics could not be written to '{_name}': {e.Message}");
        }
    }
}
