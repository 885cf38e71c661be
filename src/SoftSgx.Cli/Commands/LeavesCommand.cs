using System.CommandLine;

namespace SoftSgx.Cli.Commands;

/// <summary><c>softsgx leaves</c>: the table of leaf functions.</summary>
internal static class LeavesCommand
{
    internal const string Name = "leaves";

    internal const string Details =
        """
        One line for each leaf function of ENCLS, ENCLU and ENCLV: its number, its name, the privilege that it needs, the CPUID feature
        that enumerates it, whether SoftSGX has it, its operands, and where its rule stands.

        Examples:
          softsgx leaves
          softsgx leaves --json | jq '.[] | select(.supported | not) | .name'
        """;

    private static readonly Option<bool> s_json = new("--json") { Description = "Print JSON, for scripts." };

    private static readonly Option<bool> s_markdown = new("--markdown") { Description = "Print the page docs/leaves.md." };

    internal static Command Create()
    {
        Command command = new(Name, "List the leaf functions: what each is, and whether it is supported.") { s_json, s_markdown };
        command.SetAction(static result =>
            Console.Out.Write(result.GetValue(s_json) ? LeafListing.Json() : result.GetValue(s_markdown) ? LeafListing.Page() : LeafListing.Text()));
        return command;
    }
}
