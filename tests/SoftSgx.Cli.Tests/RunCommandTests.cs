using System.CommandLine;
using SoftSgx.Cli.Commands;

namespace SoftSgx.Cli.Tests;

/// <summary>The command line of <c>softsgx run</c>.</summary>
public sealed class RunCommandTests
{
    [Theory]
    [InlineData("run ls --epc 1", "run -- ls --epc 1")]
    [InlineData("run --epc 64M ls -l", "run --epc 64M -- ls -l")]
    [InlineData("run --epc=64M ls", "run --epc=64M -- ls")]
    [InlineData("run --genuine-intel ls", "run --genuine-intel -- ls")]
    [InlineData("run --reclaim low=1 --poison 3 --stats text --genuine-intel --strict --epc 1M ls --stats json", "run --reclaim low=1 --poison 3 --stats text --genuine-intel --strict --epc 1M -- ls --stats json")]
    [InlineData("run --stats ls", "run --stats ls")]
    [InlineData("run --stats text -- --epc", "run --stats text -- --epc")]
    [InlineData("run --help", "run --help")]
    [InlineData("run", "run")]
    [InlineData("demo --paging", "demo --paging")]
    public void What_follows_the_program_is_the_programs(string line, string separated) =>
        Assert.Equal(separated, string.Join(' ', RunCommand.SeparateProgram(line.Split(' '))));

    [Theory]
    [InlineData("run --epc 64M@0,64M@1 --reclaim batch=4,policy=2q --poison 1,2 --stats json -- true")]
    [InlineData("run --epc=64K -- true")]
    public void Options_are_taken(string line) => Assert.Empty(Parse(line).Errors);

    [Theory]
    [InlineData("run --epc 1K -- true", "--epc: '1K' is no size: give a multiple of 4K up to 512G, such as 64M, or 64M@0,64M@1 for two NUMA nodes.")]
    [InlineData("run --reclaim batch=0 -- true", "--reclaim: a batch has 1 to 512 pages, not 0: give another number.")]
    [InlineData("run --poison x -- true", "--poison: 'x' is no EPC page: give numbers from 0, such as 0 or 17,18.")]
    [InlineData("run --epc 1M --epc 2M -- true", "Option '--epc' expects a single argument but 2 were provided.")]
    public void What_is_wrong_is_said_with_the_options_name(string line, string message) =>
        Assert.Equal(message, Assert.Single(Parse(line).Errors).Message);

    private static ParseResult Parse(string line) => new RootCommand { RunCommand.Create() }.Parse(line.Split(' '));
}
