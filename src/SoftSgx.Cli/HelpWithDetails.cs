using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace SoftSgx.Cli;

/// <summary>
/// Help in two parts: what the library makes of a command's description and options, then the command's own explanation with
/// examples and exit statuses, which would be too long for the list of commands.
/// </summary>
internal sealed class HelpWithDetails : SynchronousCommandLineAction
{
    private readonly HelpAction _summary = new();
    private readonly IReadOnlyDictionary<string, string> _details;

    private HelpWithDetails(IReadOnlyDictionary<string, string> details) => _details = details;

    /// <summary>Gives a root command this help; <paramref name="details"/> are by command name.</summary>
    internal static void Attach(RootCommand root, IReadOnlyDictionary<string, string> details)
    {
        foreach (Option option in root.Options)
        {
            if (option is HelpOption help)
            {
                help.Action = new HelpWithDetails(details);
            }
        }
    }

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        int status = _summary.Invoke(parseResult);
        if (_details.TryGetValue(parseResult.CommandResult.Command.Name, out string? details))
        {
            parseResult.InvocationConfiguration.Output.WriteLine(details);
        }
        return status;
    }
}
