using SoftSgx.Kernel.Tracing;

namespace SoftSgx.Cli.Options;

/// <summary>Kinds of events as people and JSON write them.</summary>
internal static class TraceOption
{
    /// <summary>The kinds by their names.</summary>
    internal static IReadOnlyList<(string Name, TraceKinds Kind)> Kinds { get; } =
    [
        ("call", TraceKinds.Call),
        ("encls", TraceKinds.Encls),
        ("enclu", TraceKinds.Enclu),
        ("exit", TraceKinds.Exit),
        ("signal", TraceKinds.Signal),
        ("fault", TraceKinds.Fault),
        ("paging", TraceKinds.Paging),
        ("process", TraceKinds.Process),
    ];

    /// <summary>Reads names of kinds, separated by commas.</summary>
    /// <param name="text">What the user wrote.</param>
    /// <param name="kinds">The kinds; none if something is wrong.</param>
    /// <returns>What is wrong and what to write instead, or <see langword="null"/>.</returns>
    internal static string? Parse(string text, out TraceKinds kinds)
    {
        kinds = TraceKinds.None;
        foreach (string part in text.Split(','))
        {
            TraceKinds kind = Kinds.FirstOrDefault(entry => entry.Name == part).Kind;
            if (kind == TraceKinds.None)
            {
                kinds = TraceKinds.None;
                return $"'{part}' is no kind of event: give some of {string.Join(", ", Kinds.Select(static entry => entry.Name))}, separated by commas.";
            }
            kinds |= kind;
        }
        return null;
    }

    /// <summary>The name of one kind.</summary>
    internal static string NameOf(TraceKinds kind)
    {
        foreach ((string name, TraceKinds candidate) in Kinds)
        {
            if (candidate == kind)
            {
                return name;
            }
        }
        throw new ArgumentOutOfRangeException(nameof(kind));
    }
}
