using System.CommandLine;
using SoftSgx.Cli;
using SoftSgx.Cli.Commands;
using SoftSgx.Host;

RootCommand root = new("SGX for machines that have none: run, look at and check SGX programs without SGX hardware.")
{
    RunCommand.Create(),
};

try
{
    return root.Parse(RunCommand.SeparateProgram(args)).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (HostException e)
{
    Messages.Error(e.Message);
    return ProgramRunner.ExitOwnFailure;
}
