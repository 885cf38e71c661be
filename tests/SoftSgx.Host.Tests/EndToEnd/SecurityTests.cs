using System.Text.Json;

namespace SoftSgx.Host.Tests.EndToEnd;

/// <summary>Launch control, provisioning, policies and platforms, as live programs meet them.</summary>
[Collection(nameof(EndToEnd))]
public sealed class SecurityTests
{
    private const string Svn1 = "01010101000000000000000000000000", Svn2 = "02010101000000000000000000000000", Old = "00000000000000000000000000000000";

    private static string Program => Machine.BuildWithEnclave("security");

    [EndToEndTheory]
    [InlineData("locked", 1)]
    [InlineData("locked:83d719e77deaca1470f6baf62a4d774303c899db69020f9c70ee1dfc08c7ce9e", 1)]
    [InlineData("absent", 0)]
    public void Without_writable_launch_control_there_are_no_devices(string setting, int hasLaunchControl)
    {
        if (File.Exists("/dev/sgx_enclave"))
        {
            hasLaunchControl = 1; // of this machine's own processor, in code that was not patched
        }
        const string None = "open No such file or directory, access No such file or directory, stat No such file or directory\n";
        Machine.Run([Machine.Softsgx, "run", "--launch-control", setting, Program, "nodevices"])
            .Said($"{None}{None}{None}readlink No such file or directory\nSGX 1 SGX_LC {hasLaunchControl}\nSGX1 1\n");
    }

    [EndToEndFact]
    public void Why_there_are_no_devices_is_explained()
    {
        Outcome outcome = Machine.Run([Machine.Softsgx, "run", "--launch-control", "locked", "--explain=json"]).Ended("exit 0");
        using JsonDocument json = JsonDocument.Parse(outcome.Text);
        JsonElement devices = json.RootElement.GetProperty("statements").EnumerateArray().Single(static s => s.GetProperty("topic").GetString() == "devices");
        Assert.Equal("not enforced", devices.GetProperty("verdict").GetString());
        Assert.Contains("launch control is locked", devices.GetProperty("reason").GetString(), StringComparison.Ordinal);
        Assert.Equal("--launch-control writable", devices.GetProperty("cure").GetString());
    }

    [RootFact]
    public void A_device_is_opened_by_those_who_may()
    {
        Machine.Run([Machine.Softsgx, "run", "--provision", "0640:7:9", "--enclave", "0666:0:0", Program, "nobody"]).Said(
            "open ok, access ok, mode 666 0:0\nopen Permission denied, access Permission denied, mode 640 7:9\n");
        Machine.Run([Machine.Softsgx, "run", "--provision", "0660:0:65534", "--enclave", "root", Program, "nobody"]).Said(
            "open Permission denied, access Permission denied, mode 600 0:0\nopen ok, access ok, mode 660 0:65534\n");
    }

    [RootFact]
    public void A_descriptor_carries_the_right_to_the_provisioning_key()
    {
        Machine.Run([Machine.Softsgx, "run", "--provision", "root", Program, "pass"]).Said(
            """
            open ok, access ok, mode 600 0:0
            open Permission denied, access Permission denied, mode 600 0:0
            PROVISION Invalid argument
            INIT Permission denied
            PROVISION ok
            INIT ok

            """);
    }

    [EndToEndFact]
    public void Sealing_keys_are_the_platforms_own()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string first = Keys(folder, [], Svn1), other = Keys(folder, [], Svn1);
        Assert.Equal(first, other);
        Platform(folder, "init", "other");
        Assert.NotEqual(first, Keys(folder, ["--platform", "other"], Svn1));
        Assert.Equal(Keys(folder, ["--platform", "other"], Svn1), Keys(folder, ["--platform", "other"], Svn1));
        Assert.Equal(Keys(folder, ["--seed", "one"], Svn1), Keys(folder, ["--seed", "one"], Svn1));
        Assert.NotEqual(Keys(folder, ["--seed", "one"], Svn1), Keys(folder, ["--seed", "two"], Svn1));
        Assert.Equal(["default", "other"], Platform(folder, "list").Split('\n')[1..3].Select(static line => line.Split(' ')[0]));
    }

    [EndToEndFact]
    public void Sealing_keys_follow_the_versions()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        Platform(folder, "init", "p");
        string[] p = ["--platform", "p"];
        string before = Keys(folder, p, Svn1, Old, Svn2, $"{Svn1}:3", $"{Svn1}:4");
        string[] lines = before.Split('\n');
        Assert.Contains("error 0", lines[0], StringComparison.Ordinal);
        Assert.Contains("error 0", lines[1], StringComparison.Ordinal); // an older one
        Assert.Contains("error 32", lines[2], StringComparison.Ordinal); // SGX_INVALID_CPUSVN: a newer one
        Assert.Contains("error 0", lines[3], StringComparison.Ordinal);
        Assert.Contains("error 64", lines[4], StringComparison.Ordinal); // SGX_INVALID_ISVSVN
        Assert.Equal(3, lines[..4].Where(static line => line.Contains("error 0", StringComparison.Ordinal)).Select(static line => line.Split(' ')[^1]).Distinct().Count());

        Platform(folder, "update", "p", "--cpusvn", Svn2);
        string[] after = Keys(folder, p, Svn1, Old, Svn2).Split('\n');
        Assert.Equal(lines[..2], after[..2]);
        Assert.Contains("error 0", after[2], StringComparison.Ordinal);
        Platform(folder, "update", "p", "--owner-epoch", "random");
        Assert.NotEqual(lines[0], Keys(folder, p, Svn1).Split('\n')[0]);
    }

    [EndToEndTheory]
    [InlineData("execanon", "anonymous", "Permission denied")]
    [InlineData("execanon", "file", "ok")]
    [InlineData("execanon", "modified", "Permission denied")]
    [InlineData("execunmr", "anonymous", "ok")]
    public void Code_is_loaded_from_where_the_policy_lets_it(string denied, string how, string result)
    {
        using TemporaryFolder folder = Machine.NewFolder();
        Outcome outcome = WithPolicy(folder, $"\"default\":\"allow\",\"pages\":{{\"deny\":[\"{denied}\"],\"enclave_execute\":\"{folder.Path}/*\"}}", [], "load", how, Path.Combine(folder.Path, "enclave"))
            .Ended("exit 0");
        Assert.Equal($"{how} {result}\n", outcome.Text);
        Assert.Equal(result == "ok" ? 0 : 1, Audit(outcome).Count());
    }

    [EndToEndFact]
    public void Code_comes_from_files_that_the_policy_names()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        Outcome outcome = WithPolicy(folder, "\"default\":\"allow\",\"pages\":{\"enclave_execute\":[\"/nowhere/*\"]}", [], "load", "file", Path.Combine(folder.Path, "enclave"));
        Assert.Equal("file Permission denied\n", outcome.Text);
        Assert.Contains($"{{ enclave_execute }} for  pid=", Assert.Single(Audit(outcome)), StringComparison.Ordinal);
        Assert.Contains($"source=\"{folder.Path}/enclave\"", outcome.ErrorText, StringComparison.Ordinal);
    }

    [EndToEndFact]
    public void What_is_written_between_two_calls_is_no_files()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        Outcome outcome = WithPolicy(folder, "\"default\":\"allow\",\"pages\":{\"deny\":[\"execanon\"]}", [], "change", Path.Combine(folder.Path, "code")).Ended("exit 0");
        Assert.Equal(
            """
            as it was ok
            written Permission denied
            its neighbour ok
            written after it was added Permission denied
            the file's again ok
            replaced Permission denied
            behind it ok

            """,
            outcome.Text);
        Assert.Equal(3, Audit(outcome).Count());
    }

    [RootFact]
    public void The_effective_user_is_the_one_of_the_moment()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        Outcome outcome = WithPolicy(folder, "\"default\":\"allow\",\"rules\":[{\"name\":\"no root\",\"action\":\"deny\",\"uid\":0}]", [], "users").Ended("exit 0");
        Assert.Equal("0 Permission denied\n65534 ok\n0 Permission denied\n", outcome.Text);
        Assert.All(Audit(outcome), static line => Assert.Contains(" uid=0 ", line, StringComparison.Ordinal));
    }

    [EndToEndFact]
    public void Mappings_are_kept_from_what_the_policy_denies()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string audit = Path.Combine(folder.Path, "audit.log"), stats = Path.Combine(folder.Path, "stats.json");
        File.WriteAllText(audit, "what was there\n");
        Outcome outcome = WithPolicy(
            folder, "\"default\":\"allow\",\"pages\":{\"deny\":[\"mapwx\"]}", ["--audit", audit, "--stats", stats], "mappings").Ended("exit 0");
        Assert.Equal("map rwx Permission denied\nmap rw- ok\nprotect rwx Permission denied\nmap by hint -wx Permission denied\nprotect r-x ok\n", outcome.Text);
        Assert.Equal("", outcome.ErrorText);
        string[] lines = File.ReadAllLines(audit);
        Assert.Equal("what was there", lines[0]);
        Assert.Equal(4, lines.Length);
        Assert.All(lines[1..], static line => Assert.Contains("avc:  denied  { mapwx } for  pid=", line, StringComparison.Ordinal));
        Assert.All(lines[1..], static line => Assert.EndsWith("rule=\"pages\" permissive=0", line, StringComparison.Ordinal));
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(stats));
        JsonElement policy = json.RootElement.GetProperty("policy");
        Assert.Equal((3, "enforcing"), (policy.GetProperty("denials").GetInt64(), policy.GetProperty("mode").GetString()));
    }

    [EndToEndFact]
    public void Rules_decide_by_signer_program_and_user()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string signer = Machine.Supervised(Machine.BuildSample("hello")).Text.Split("MRSIGNER   ")[1][..64];
        string hello = Path.GetDirectoryName(Machine.BuildSample("hello"))!;
        string policy = $"\"default\":\"deny\",\"rules\":[{{\"name\":\"ours\",\"action\":\"allow\",\"mrsigner\":\"{signer}\",\"exe\":\"{hello}/*\"}}]";
        string file = Policy(folder, policy);
        Outcome allowed = Machine.Run([Machine.Softsgx, "run", "--policy", file, Machine.BuildSample("hello")]).Ended("exit 0");
        Assert.Equal("", allowed.ErrorText);
        Outcome denied = WithPolicy(folder, policy, [], "keys", Svn1).Ended("exit 1"); // another program, the same signer
        string line = Assert.Single(Audit(denied));
        Assert.Contains("{ enclave_create }", line, StringComparison.Ordinal);
        Assert.Contains($"comm=\"security\" exe=\"{Program}\"", line, StringComparison.Ordinal);
        Outcome permissive = WithPolicy(folder, "\"mode\":\"permissive\"," + policy, [], "keys", Svn1).Ended("exit 0");
        Assert.Equal(["enclave_create", "enclave_init"], Audit(permissive).Select(static text => text.Split("{ ")[1].Split(' ')[0]));
    }

    [EndToEndFact]
    public void A_policy_that_is_wrong_starts_nothing()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string file = Policy(folder, "\"default\":\"perhaps\",\"rules\":[7]");
        Outcome outcome = Machine.Run([Machine.Softsgx, "run", "--policy", file, "touch", Path.Combine(folder.Path, "started")]).Ended("exit 125");
        Assert.Equal($"softsgx: the policy {file}:1:24: default: write \"allow\" or \"deny\" (1 more: softsgx policy check {file})\n", outcome.ErrorText);
        Assert.False(File.Exists(Path.Combine(folder.Path, "started")));
        Outcome check = Machine.Run([Machine.Softsgx, "policy", "check", file]).Ended("exit 1");
        Assert.Equal(2, check.ErrorText.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Machine.Run([Machine.Softsgx, "run", "--policy", "/does/not/exist", "true"]).Ended("exit 125");
    }

    private static string Keys(TemporaryFolder folder, string[] options, params string[] svns) =>
        Machine.Run(["/usr/bin/env", $"XDG_STATE_HOME={folder.Path}", Machine.Softsgx, "run", .. options, Program, "keys", .. svns]).Ended("exit 0").Text;

    private static string Platform(TemporaryFolder folder, params string[] arguments) =>
        Machine.Run(["/usr/bin/env", $"XDG_STATE_HOME={folder.Path}", Machine.Softsgx, "platform", .. arguments]).Ended("exit 0").Text;

    private static string Policy(TemporaryFolder folder, string policy)
    {
        string file = Path.Combine(folder.Path, "policy.json");
        File.WriteAllText(file, $"{{\"version\":1,{policy}}}");
        return file;
    }

    private static Outcome WithPolicy(TemporaryFolder folder, string policy, string[] options, params string[] arguments) =>
        Machine.Run([Machine.Softsgx, "run", "--policy", Policy(folder, policy), .. options, Program, .. arguments]);

    private static IEnumerable<string> Audit(Outcome outcome) =>
        outcome.ErrorText.Split('\n').Where(static line => line.StartsWith("type=AVC ", StringComparison.Ordinal));
}

/// <summary>A test that becomes another user, for which it has to be root.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class RootFactAttribute : FactAttribute
{
    public RootFactAttribute() => Skip = Capabilities.Missing ?? (Environment.IsPrivilegedProcess ? null : "only root can become another user");
}
