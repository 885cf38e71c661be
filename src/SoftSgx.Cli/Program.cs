using System.CommandLine;
using System.CommandLine.Parsing;
using SoftSgx.Cli;
using SoftSgx.Cli.Commands;
using SoftSgx.Host;

const int ExitUsage = 2;

Console.SetOut(new StreamWriter(new StandardOutputStream(), Console.OutputEncoding) { AutoFlush = true });

RootCommand root = new("SGX for machines that have none: run SGX programs unmodified, without SGX hardware.")
{
    RunCommand.Create(),
    DemoCommand.Create(),
    SimulateCommand.Create(),
    InspectCommand.Create(),
    MeasureCommand.Create(),
    DiffCommand.Create(),
    KeygenCommand.Create(),
    SignCommand.Create(),
    VerifyCommand.Create(),
    LeavesCommand.Create(),
    PlatformCommand.Create(),
    PolicyCommand.Create(),
};
HelpWithDetails.Attach(root, new Dictionary<string, string>
{
    [RunCommand.Name] = RunCommand.Details,
    [DemoCommand.Name] = DemoCommand.Details,
    [SimulateCommand.Name] = SimulateCommand.Details,
    [InspectCommand.Name] = InspectCommand.Details,
    [MeasureCommand.Name] = MeasureCommand.Details,
    [DiffCommand.Name] = DiffCommand.Details,
    [KeygenCommand.Name] = KeygenCommand.Details,
    [SignCommand.Name] = SignCommand.Details,
    [VerifyCommand.Name] = VerifyCommand.Details,
    [LeavesCommand.Name] = LeavesCommand.Details,
    [PolicyCommand.Name] = PolicyCommand.Details,
    [PolicyCommand.CheckName] = PolicyCommand.CheckDetails,
    [PlatformCommand.Name] = PlatformCommand.Details,
    [PlatformCommand.ShowName] = PlatformCommand.ShowDetails,
    [PlatformCommand.InitName] = PlatformCommand.InitDetails,
    [PlatformCommand.UpdateName] = PlatformCommand.UpdateDetails,
    [PlatformCommand.ListName] = PlatformCommand.ListDetails,
    [PlatformCommand.RemoveName] = PlatformCommand.RemoveDetails,
});

ParseResult parsed = root.Parse(RunCommand.SeparateProgram(args.Length == 0 ? ["--help"] : args));
bool isRun = parsed.CommandResult.Command.Name == RunCommand.Name;
if (parsed.Errors.Count > 0 && parsed.Action is not HelpWithDetails)
{
    string command = "";
    for (SymbolResult? at = parsed.CommandResult; at is CommandResult { Command: not RootCommand } named; at = at.Parent)
    {
        command = $"{named.Command.Name} {command}";
    }
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
#pragma warning disable CA1031 // the last resort: a bug of ours is one line for the user, with the details on request
catch (Exception e)
{
    bool details = Environment.GetEnvironmentVariable("SOFTSGX_DEBUG") is { Length: > 0 };
    Messages.Error($"internal error, a bug in softsgx: {(details ? e : $"{e.GetType().Name}: {e.Message} (set SOFTSGX_DEBUG=1 for details)")}");
    return ProgramRunner.ExitOwnFailure;
}
#pragma warning restore CA1031
