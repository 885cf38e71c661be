using System.Text.Json;
using SoftSgx.Cli.Explain;
using SoftSgx.Host.Explain;

namespace SoftSgx.Cli.Tests.Explain;

/// <summary>What a host can and cannot enforce.</summary>
public sealed class ExplainListingTests
{
    private static readonly HostFacts s_good = new()
    {
        KernelRelease = "6.1", Processor = "P", HasSgx = false, HasSgxDevice = false, CpuidCanFault = true, HasProtectionKeys = true,
        PtraceProblem = null, HasSeccomp = true, UserfaultfdErrno = 0, CanWriteProtectSharedMemory = true, UnprivilegedUserfaultfd = 0,
        HasPagemap = true, User = 1000, SecretProblem = null,
    };

    public static TheoryData<string, string, string> Lacks => new()
    {
        { "ptrace", "devices", "yama" },
        { "seccomp", "devices", "CONFIG_SECCOMP_FILTER" },
        { "userfaultfd", "devices", "CONFIG_USERFAULTFD" },
        { "write protection", "devices", "Linux 5.19" },
        { "pagemap", "ageing", "hidepid" },
    };

    [Fact]
    public void A_good_host_enforces_what_can_be()
    {
        Assert.True(s_good.CanRun);
        IReadOnlyList<Statement> statements = Explanation.Of(s_good);
        Assert.Equal(statements.Count, statements.Select(static statement => statement.Topic).Distinct().Count());
        Assert.Equal(Enforcement.Enforced, Of(statements, "devices").Verdict);
        Assert.Equal(Enforcement.Enforced, Of(statements, "permissions").Verdict);
        Assert.Equal(Enforcement.NotEnforced, Of(statements, "confidentiality").Verdict);
        Assert.Contains("could make CPUID fault", Of(statements, "instructions").Reason, StringComparison.Ordinal);
        Assert.All(statements, static statement => Assert.NotEmpty(statement.Reason));
    }

    [Theory]
    [MemberData(nameof(Lacks))]
    public void What_a_host_lacks_is_said_with_a_cure(string what, string topic, string cure)
    {
        HostFacts host = what switch
        {
            "ptrace" => s_good with { PtraceProblem = "it is forbidden" },
            "seccomp" => s_good with { HasSeccomp = false },
            "userfaultfd" => s_good with { UserfaultfdErrno = 1 },
            "write protection" => s_good with { CanWriteProtectSharedMemory = false },
            _ => s_good with { HasPagemap = false },
        };
        Assert.Equal(topic != "devices", host.CanRun);
        Statement statement = Of(Explanation.Of(host), topic);
        Assert.Equal(Enforcement.NotEnforced, statement.Verdict);
        Assert.Contains(cure, statement.Cure, StringComparison.Ordinal);
    }

    [Fact]
    public void Text_and_JSON_say_the_same()
    {
        IReadOnlyList<Statement> statements = Explanation.Of(s_good);
        string text = ExplainListing.Text(s_good, statements);
        using JsonDocument json = JsonDocument.Parse(ExplainListing.Json(s_good, statements));
        JsonElement[] list = [.. json.RootElement.GetProperty("statements").EnumerateArray()];
        Assert.Equal(statements.Count, list.Length);
        Assert.All(list, statement =>
            Assert.Contains($"  {statement.GetProperty("verdict").GetString(),-13} {statement.GetProperty("property").GetString()}\n", text, StringComparison.Ordinal));
        Assert.Equal("6.1", json.RootElement.GetProperty("host").GetProperty("kernelRelease").GetString());
        Assert.All(text.Split('\n'), static line => Assert.InRange(line.Length, 0, 120));
    }

    [Fact]
    public void Looking_at_this_host_changes_nothing_and_does_not_fail()
    {
        HostFacts host = HostProbe.Look();
        Assert.NotEmpty(Explanation.Of(host));
        Assert.Equal(host, HostProbe.Look());
    }

    private static Statement Of(IReadOnlyList<Statement> statements, string topic) => statements.Single(statement => statement.Topic == topic);
}
