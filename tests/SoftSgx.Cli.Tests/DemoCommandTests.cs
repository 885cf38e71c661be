using System.CommandLine;
using SoftSgx.Cli.Commands;

namespace SoftSgx.Cli.Tests;

/// <summary>The command line of <c>softsgx demo</c>.</summary>
public sealed class DemoCommandTests
{
    [Theory]
    [InlineData("demo")]
    [InlineData("demo hello threads")]
    [InlineData("demo v22")]
    public void Samples_are_taken(string line) => Assert.Empty(Parse(line).Errors);

    [Theory]
    [InlineData("demo v21")]
    [InlineData("demo --paging v22")]
    public void Others_are_not(string line) => Assert.NotEmpty(Parse(line).Errors);

    [Theory]
    [InlineData("hello")]
    [InlineData("exceptions")]
    [InlineData("threads")]
    [InlineData("seal")]
    [InlineData("v22")]
    public void Each_is_explained(string sample) => Assert.Matches($@"(?m)^  {sample} +\w", DemoCommand.Details);

    private static ParseResult Parse(string line) => new RootCommand { DemoCommand.Create() }.Parse(line.Split(' '));
}
