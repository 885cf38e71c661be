using System.CommandLine;
using SoftSgx.Cli;
using SoftSgx.Cli.Commands;
using SoftSgx.Host;

const int ExitUsage = 2;

RootCommand root = new("SGX for machines that have none: run SGX programs unmodified, without SGX hardware.")
{
    RunCommand.Create(),
    DemoCommand.Create(),
};
HelpWithDetails.Attach(root, new Dictionary<string, string>
{
    [RunCommand.Name] = RunCommand.Details,
    [DemoCommand.Name] = DemoCommand.Details,
});

ParseResult parsed = root.Parse(RunCommand.SeparateProgram(args.Length == 0 ? ["--help"] : args));
bool isRun = parsed.CommandResult.Command.Name == RunCommand.Name;
if (parsed.Errors.Count > 0 && parsed.Action is not HelpWithDetails)
{
    string command = parsed.CommandResult.Command == root ? "" : parsed.CommandResult.Command.Name + " ";
    Messages.Error($"{parsed.Errors[^1].Message} Try: softsgx {command}--help");
    return isRun ? ProgramRunner.ExitOwnFailure : ExitUsage;
}
try
{
    return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (HostException e)
{
    Messages.Error(e.Message);
    return ProgramRunner.ExitOwnFailure;
}
