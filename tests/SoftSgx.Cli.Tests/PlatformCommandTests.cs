using System.CommandLine;
using SoftSgx.Cli.Commands;
using SoftSgx.Cli.Platform;
using SoftSgx.Host.Platform;

namespace SoftSgx.Cli.Tests;

/// <summary>The command lines of <c>softsgx platform</c> and <c>softsgx policy</c>, and what they show.</summary>
public sealed class PlatformCommandTests
{
    [Theory]
    [InlineData("platform show")]
    [InlineData("platform show ci --json")]
    [InlineData("platform init ci --cpusvn 01010101000000000000000000000000 --owner-epoch random --sgx1 --launch-control locked --epc 64M@0,64M@1")]
    [InlineData("platform update ci --sgx1=false")]
    [InlineData("platform remove ci --yes")]
    [InlineData("policy check file.json --json")]
    [InlineData("run --seed x --launch-control absent --provision 0660:0:0 --enclave root --policy p --audit a -- true")]
    public void Options_are_taken(string line) => Assert.Empty(Parse(line).Errors);

    [Theory]
    [InlineData("platform init ci --cpusvn 01", "--cpusvn: '01' does not have 32 hexadecimal digits, as 01010101000000000000000000000000 has.")]
    [InlineData("platform init ci --owner-epoch x", "--owner-epoch: 'x' does not have 32 hexadecimal digits: give them, or random.")]
    [InlineData("platform init ci --launch-control open", "--launch-control: 'open' is no state of launch control: give writable, absent, locked, or locked:HASH with the signer's MRSIGNER.")]
    [InlineData("platform init ci --epc 1", "--epc: '1' is no size: give a multiple of 4K up to 512G, such as 64M, or 64M@0,64M@1 for two NUMA nodes.")]
    [InlineData("run --seed x --platform y -- true", "--seed and --platform do not go together.")]
    [InlineData("run --audit a -- true", "--audit: without --policy nothing is denied.")]
    [InlineData("run --provision nobody -- true", "--provision: 'nobody' does not say who may open the device: give everyone, root, or MODE:USER:GROUP as in 0660:root:sgx_prv.")]
    public void What_is_wrong_is_said_with_the_options_name(string line, string message) => Assert.Equal(message, Parse(line).Errors[0].Message);

    [Fact]
    public void Show_decodes_what_the_program_would_find_and_no_secret()
    {
        byte[] seed = [.. Enumerable.Repeat((byte)0xA5, 32)];
        _ = LaunchControlSetting.Parse("locked", out LaunchControlSetting locked);
        PlatformDocument document = PlatformDocument.Of(new PlatformIdentity("x", seed) { Sgx1 = true, LaunchControl = locked, Epc = "1M@0,2M@1" }, isMade: true);
        string text = PlatformText.Write(document);

        Assert.Equal(["0x00000001", "0x00000036"], document.Cpuid.Take(2).Select(static leaf => leaf.SubLeaf == 0 ? leaf.Eax : $"0x{Convert.ToUInt32(leaf.Eax, 16) & 0x3F:x8}"));
        Assert.Equal(4, document.Cpuid.Count);
        Assert.NotEmpty(document.Processors);
        Assert.All(document.Processors, static processor => Assert.Equal("0x40001", processor.FeatureControl));
        Assert.Equal("0xa6053e051270b7ac", document.Processors[0].LePubKeyHash![0]);
        Assert.Equal([0x10_0000UL, 0x20_0000], document.MemoryMap.Where(static range => range.IsEpc).Select(static range => Convert.ToUInt64(range.Last, 16) - Convert.ToUInt64(range.First, 16) + 1));
        Assert.Contains("no device", text, StringComparison.Ordinal);
        Assert.Contains("reserved (EPC)", text, StringComparison.Ordinal);
        Assert.DoesNotContain("a5a5a5a5", text, StringComparison.OrdinalIgnoreCase);
        Assert.Null(PlatformDocument.Of(new PlatformIdentity("x", default) { LaunchControl = LaunchControlSetting.Writable with { Kind = LaunchControlKind.Absent } }, isMade: false).Processors[0].LePubKeyHash);
    }

    [Fact]
    public void The_list_says_which_is_damaged()
    {
        string text = PlatformText.Write([new PlatformLine("a", "0123456789abcdef", "01", "writable", true, "64M", null, "f", null), new PlatformLine("bb", null, null, null, null, null, null, null, "f is damaged: x")]);
        Assert.Contains("a     0123456789abcdef  01  writable, SGX1 only, EPC 64M\n", text, StringComparison.Ordinal);
        Assert.EndsWith("bb    f is damaged: x\n", text, StringComparison.Ordinal);
    }

    private static ParseResult Parse(string line) =>
        new RootCommand { RunCommand.Create(), PlatformCommand.Create(), PolicyCommand.Create() }.Parse(line.Split(' '));
}
