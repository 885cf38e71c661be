using System.CommandLine;
using SoftSgx.Cli.Commands;

namespace SoftSgx.Cli.Tests.Images;

/// <summary>Commands on files change what the console is, so no other test runs beside them.</summary>
[CollectionDefinition(nameof(Softsgx), DisableParallelization = true)]
public sealed class Softsgx;

/// <summary>Runs commands on files within this process.</summary>
internal static class Command
{
    /// <summary>Parses a command line; 2 stands for one that is wrong.</summary>
    internal static (int Status, string Output, string Problem) Run(params string[] arguments)
    {
        RootCommand root = new()
        {
            MeasureCommand.Create(), DiffCommand.Create(), KeygenCommand.Create(), SignCommand.Create(), VerifyCommand.Create(),
        };
        ParseResult parsed = root.Parse(arguments);
        if (parsed.Errors.Count > 0)
        {
            return (2, "", parsed.Errors[^1].Message);
        }

        TextWriter before = Console.Out;
        using StringWriter output = new();
        try
        {
            Console.SetOut(output);
            return (parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false }), output.ToString(), "");
        }
        finally
        {
            Console.SetOut(before);
        }
    }
}
