using System.Text;
using System.Text.Json;

namespace SoftSgx.Host.Tests.EndToEnd;

/// <summary>The transitions of a trace, thread by thread.</summary>
internal sealed class TransitionList
{
    private readonly Dictionary<string, List<Step>> _threads = [];

    /// <summary>One transition: its name, whether it took place, whether without the supervisor, and all that is the same in every run.</summary>
    private readonly record struct Step(string Name, bool Happened, bool IsDirect, string Text);

    /// <summary>EENTERs and EEXITs that took place.</summary>
    internal int Entries => _threads.Values.Sum(static steps => steps.Count(static step => step is { Name: "EENTER", Happened: true }));

    internal int Exits => _threads.Values.Sum(static steps => steps.Count(static step => step is { Name: "EEXIT", Happened: true }));

    /// <summary>Those that needed no supervisor.</summary>
    internal int DirectCount => _threads.Values.Sum(static steps => steps.Count(static step => step.IsDirect));

    /// <summary>What each thread did, line by line, in an order that does not depend on the threads' numbers.</summary>
    internal string Stories
        => string.Join('\n', _threads.Values.Select(static steps => string.Concat(steps.Select(static step => step.Text + "\n"))).Order(StringComparer.Ordinal));

    /// <summary>Reads a trace of JSON lines, whose times must ascend.</summary>
    internal static TransitionList Read(string file)
    {
        TransitionList list = new();
        Dictionary<string, Dictionary<string, int>> places = [];
        DateTime last = default;
        foreach (string line in File.ReadLines(file))
        {
            using JsonDocument json = JsonDocument.Parse(line);
            JsonElement root = json.RootElement;
            DateTime time = root.GetProperty("time").GetDateTime();
            Assert.True(time >= last, line);
            last = time;
            string thread = root.GetProperty("thread").GetString()!;
            if (!list._threads.TryGetValue(thread, out List<Step>? steps))
            {
                list._threads[thread] = steps = [];
                places[thread] = [];
            }
            steps.Add(Read(root, places[thread]));
        }
        return list;
    }

    /// <summary>Who enters was outside, who leaves was inside, and nobody is inside at the end.</summary>
    internal void AssertWellFormed()
        => Assert.All(_threads, static thread =>
        {
            bool isInside = false;
            foreach (Step step in thread.Value.Where(static step => step.Happened))
            {
                bool isEntry = step.Name is "EENTER" or "ERESUME", isExit = step.Name == "EEXIT" || step.Text.StartsWith("exit", StringComparison.Ordinal);
                Assert.True(isEntry != isInside || (!isEntry && !isExit), $"{thread.Key}: {step.Text}");
                isInside = isEntry || (isInside && !isExit);
            }
            Assert.False(isInside, thread.Key);
        });

    // Addresses inside enclaves are told by their offsets. Others differ from run to run: what counts is which are the same.
    private static Step Read(JsonElement root, Dictionary<string, int> places)
    {
        StringBuilder text = new();
        text.Append(root.GetProperty("kind").GetString()).Append(' ').Append(root.GetProperty("name").GetString());
        bool isDirect = false;
        foreach (string part in (string[])["args", "out"])
        {
            foreach (JsonProperty field in root.GetProperty(part).EnumerateObject())
            {
                string value = field.Value.ToString();
                isDirect |= field.Name == "way";
                if (field.Name is "way" or "pid" || root.GetProperty(part).TryGetProperty(field.Name + "Offset", out _))
                {
                    continue;
                }
                if (value.Length > 10 && value.StartsWith("0x", StringComparison.Ordinal))
                {
                    value = "place " + (places.TryGetValue(value, out int number) ? number : places[value] = places.Count);
                }
                text.Append(' ').Append(field.Name).Append('=').Append(value);
            }
        }
        bool failed = root.TryGetProperty("error", out JsonElement error);
        text.Append(failed ? " " + error.GetString() : "");
        return new Step(root.GetProperty("name").GetString()!, !failed, isDirect, text.ToString());
    }
}
