using System.Text;
using System.Text.Json;

namespace SoftSgx.Kernel.Tests;

/// <summary>Policy files: what they say, and everything that can be wrong with them.</summary>
public class PolicyReaderTests
{
    private const string Hash = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

    [Fact]
    public void Everything_that_a_policy_can_say()
    {
        SecurityPolicy policy = Read(
            $$"""
            // comments, and commas at the end of lists
            {
              "$schema": "policy.schema.json", "version": 1, "mode": "permissive", "default": "allow",
              "rules": [
                {
                  "name": "one", "action": "allow", "mrenclave": "{{Hash}}", "mrsigner": ["{{Hash}}", "{{Hash}}"],
                  "isvprodid": [1, "3-5"], "isvsvn": "7-", "uid": "-9", "exe": ["/a/*", "/b"],
                  "attributes": { "DEBUG": true, "PROVISION_KEY": false, "KSS": false },
                },
                { "name": "two", "action": "deny" },
              ],
              "pages": {
                "deny": ["execunmr", "wxever"], "enclave_execute": "/lib/**",
                "exceptions": [{ "name": "three", "uid": 5, "deny": [] }],
              },
            }
            """, out _)!;

        Assert.False(policy.IsEnforcing);
        Assert.True(policy.AllowsByDefault);
        PolicyRule one = policy.Rules[0];
        Assert.Equal("one", one.Name);
        Assert.True(one.Allows);
        Assert.Equal(Hash.ToLowerInvariant(), Assert.Single(one.MrEnclaves).ToString());
        Assert.Equal(2, one.MrSigners.Count);
        Assert.Equal([new NumberRange(1, 1), new NumberRange(3, 5)], one.Products);
        Assert.Equal([new NumberRange(7, 0xFFFF)], one.Versions);
        Assert.Equal([new NumberRange(0, 9)], one.Users);
        Assert.Equal(["/a/*", "/b"], one.Executables.Select(static pattern => pattern.Text));
        Assert.Equal(Architecture.AttributeFlags.DEBUG, one.Required);
        Assert.Equal(Architecture.AttributeFlags.PROVISIONKEY | Architecture.AttributeFlags.KSS, one.Forbidden);
        Assert.False(policy.Rules[1].Allows);
        Assert.Equal(PagePermissions.ExecUnmeasured | PagePermissions.WriteExecuteEver, policy.Pages.Denied);
        Assert.Equal("/lib/**", Assert.Single(policy.Pages.EnclaveExecute!).Text);
        PageException three = Assert.Single(policy.PageExceptions);
        Assert.Equal(PagePermissions.None, three.Rules.Denied);
        Assert.Null(three.Rules.EnclaveExecute);
    }

    [Theory]
    [InlineData("{ \"version\": 1, \"default\": \"deny\" }")]
    [InlineData("\uFEFF{ \"version\": 1, \"default\": \"deny\" }")]
    public void The_least_that_is_a_policy(string text)
    {
        SecurityPolicy policy = Read(text, out _)!;
        Assert.True(policy.IsEnforcing);
        Assert.False(policy.AllowsByDefault);
        Assert.Empty(policy.Rules);
        Assert.Equal(PagePermissions.None, policy.Pages.Denied);
    }

    [Theory]
    [InlineData("", 1, 1, "", "no JSON")]
    [InlineData("{", 1, 2, "", "no JSON")]
    [InlineData("{}\n x", 2, 2, "", "no JSON")]
    [InlineData("[]", 1, 1, "", "a policy is an object")]
    [InlineData("{'version':1}", 1, 2, "", "no JSON")]
    [InlineData("{\"default\":\"deny\"}", 1, 1, "", "\"version\" is missing")]
    [InlineData("{\"version\":1}", 1, 1, "", "\"default\" is missing")]
    [InlineData("{\"version\":2,\"default\":\"deny\"}", 1, 12, "version", "version 1")]
    [InlineData("{\"version\":1,\"default\":\"deny\",\n \"mode\":\"off\"}", 2, 9, "mode", "\"enforcing\" or \"permissive\"")]
    [InlineData("{\"version\":1,\"default\":\"deny\",\n\"ü\":1, \"rule\":[]}", 2, 1, "ü", "says nothing")]
    [InlineData("{\"version\":1,\"version\":1,\"default\":\"deny\"}", 1, 14, "version", "twice")]
    [InlineData("{\"version\":1,\"default\":\"deny\",\n\"rules\":{}}", 2, 9, "rules", "is a list")]
    [InlineData("{\"version\":1,\"default\":\"deny\",\n\"pages\":[]}", 2, 9, "pages", "is an object")]
    [InlineData("{\"version\":1,\"default\":\"deny\",\n\"pages\":{\"deny\":\"execmem\"}}", 2, 17, "pages.deny", "none of execunmr")]
    [InlineData("{\"version\":1,\"default\":\"deny\",\"rules\":[{\"name\":\"x\",\"action\":\"deny\"}],\n\"pages\":{\"exceptions\":[{\"name\":\"x\"}]}}", 2, 32, "pages.exceptions[0].name", "already")]
    [InlineData("{\"version\":1,\"default\":\"deny\",\n\"pages\":{\"exceptions\":[{\"name\":\"x\",\"mrsigner\":\"\"}]}}", 2, 36, "pages.exceptions[0].mrsigner", "before the identity is known")]
    public void An_error_has_its_place_and_a_reason(string text, int line, int column, string path, string reason)
    {
        Assert.Null(Read(text, out IReadOnlyList<PolicyError> errors));
        PolicyError error = errors[0];
        Assert.Equal((line, column, path), (error.Line, error.Column, error.Path));
        Assert.Contains(reason, error.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"action\":\"deny\"", "", "\"name\" is missing")]
    [InlineData("\"name\":\"x\"", "", "\"action\" is missing")]
    [InlineData("\"name\":\"\",\"action\":\"deny\"", ".name", "not empty")]
    [InlineData("\"name\":\"default\",\"action\":\"deny\"", ".name", "another name")]
    [InlineData("\"name\":\"pages\",\"action\":\"deny\"", ".name", "another name")]
    [InlineData("\"name\":\"x\",\"action\":\"deny\",\"mrenclave\":\"00\"", ".mrenclave", "64 hexadecimal digits")]
    [InlineData("\"name\":\"x\",\"action\":\"deny\",\"mrsigner\":[]", ".mrsigner", "empty list")]
    [InlineData("\"name\":\"x\",\"action\":\"deny\",\"mrsigner\":[1]", ".mrsigner[0]", "64 hexadecimal digits")]
    [InlineData("\"name\":\"x\",\"action\":\"deny\",\"isvprodid\":65536", ".isvprodid", "from 0 to 65535")]
    [InlineData("\"name\":\"x\",\"action\":\"deny\",\"isvprodid\":1.5", ".isvprodid", "from 0 to 65535")]
    [InlineData("\"name\":\"x\",\"action\":\"deny\",\"isvsvn\":\"5-4\"", ".isvsvn", "range")]
    [InlineData("\"name\":\"x\",\"action\":\"deny\",\"isvsvn\":\"-\"", ".isvsvn", "range")]
    [InlineData("\"name\":\"x\",\"action\":\"deny\",\"isvsvn\":\"5\"", ".isvsvn", "range")]
    [InlineData("\"name\":\"x\",\"action\":\"deny\",\"uid\":\"root\"", ".uid", "range")]
    [InlineData("\"name\":\"x\",\"action\":\"deny\",\"exe\":\"bin\"", ".exe", "absolute path")]
    [InlineData("\"name\":\"x\",\"action\":\"deny\",\"attributes\":{\"DEBUG\":1}", ".attributes.DEBUG", "true")]
    [InlineData("\"name\":\"x\",\"action\":\"deny\",\"attributes\":{\"debug\":true}", ".attributes.debug", "says nothing")]
    public void A_rule_that_is_wrong(string rule, string path, string reason)
    {
        Assert.Null(Read($"{{\"version\":1,\"default\":\"deny\",\"rules\":[{{{rule}}}]}}", out IReadOnlyList<PolicyError> errors));
        PolicyError error = Assert.Single(errors);
        Assert.Equal("rules[0]" + path, error.Path);
        Assert.Contains(reason, error.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void All_errors_come_in_the_order_of_the_file()
    {
        Assert.Null(Read("{\"version\":1,\"default\":\"no\",\n\"rules\":[{},\n7]}", out IReadOnlyList<PolicyError> errors));
        Assert.Equal(["default", "rules[0]", "rules[0]", "rules[1]"], errors.Select(static error => error.Path));
        Assert.Equal(errors.OrderBy(static error => (error.Line, error.Column)), errors);
    }

    [Fact]
    public void A_file_that_is_too_large_is_not_read()
    {
        Assert.Null(PolicyReader.Read(new byte[PolicyReader.MaximumSize + 1], out IReadOnlyList<PolicyError> errors));
        Assert.Contains("at most", Assert.Single(errors).Reason, StringComparison.Ordinal);
    }

    /// <summary>100,000 mangled files with SOFTSGX_SOAK=1, else 2,000: no exception, and an error wherever there is no policy.</summary>
    [Fact]
    public void Mangled_files_give_errors_and_nothing_else()
    {
        byte[] valid = Encoding.UTF8.GetBytes(
            $"{{\"version\":1,\"default\":\"deny\",\"rules\":[{{\"name\":\"ä\\n\",\"action\":\"deny\",\"mrsigner\":[\"{Hash}\"],\"isvsvn\":\"1-3\",\"exe\":\"/a*\"}}],"
            + "\"pages\":{\"deny\":[\"mapwx\"],\"exceptions\":[{\"name\":\"x\",\"deny\":[]}]}}");
        const int Seed = 20261122;
        var random = new Random(Seed);
        int rounds = Environment.GetEnvironmentVariable("SOFTSGX_SOAK") is null ? 2_000 : 100_000;
        for (int round = 0; round < rounds; round++)
        {
            byte[] bytes = [.. valid];
            for (int change = random.Next(1, 4); change > 0 && bytes.Length > 0; change--)
            {
                int at = random.Next(bytes.Length);
                bytes = random.Next(4) switch
                {
                    0 => bytes[..at],
                    1 => [.. bytes[..at], .. bytes[(at + 1)..]],
                    2 => [.. bytes[..at], (byte)random.Next(256), .. bytes[at..]],
                    _ => [.. bytes[..at], (byte)(bytes[at] ^ (1 << random.Next(8))), .. bytes[(at + 1)..]],
                };
            }

            SecurityPolicy? policy = PolicyReader.Read(bytes, out IReadOnlyList<PolicyError> errors);
            Assert.True(policy is null == errors.Count > 0, $"seed {Seed}, round {round}");
            Assert.All(errors, static error => Assert.True(error.Line > 0 && error.Column > 0 && !error.Reason.Contains('\n', StringComparison.Ordinal)));
        }
    }

    /// <summary>The schema knows the same words as the reader: whoever adds one adds it to both.</summary>
    [Fact]
    public void The_schema_names_every_word()
    {
        string schema = File.ReadAllText(Path.Combine(Root(), "docs", "policy.schema.json"));
        using JsonDocument document = JsonDocument.Parse(schema);
        foreach (string word in (string[])["version", "mode", "default", "rules", "pages", "name", "action", "mrenclave", "mrsigner", "isvprodid", "isvsvn", "attributes",
            "uid", "exe", "deny", "enclave_execute", "exceptions", "PROVISION_KEY", .. PolicyReader.NamesOf((PagePermissions)~0)])
        {
            Assert.Contains($"\"{word}\"", schema, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("development.json", false)]
    [InlineData("production.json", true)]
    public void The_examples_are_policies(string name, bool isEnforcing)
    {
        SecurityPolicy? policy = PolicyReader.Read(File.ReadAllBytes(Path.Combine(Root(), "samples", "policies", name)), out IReadOnlyList<PolicyError> errors);
        Assert.Empty(errors);
        Assert.Equal(isEnforcing, policy!.IsEnforcing);
    }

    private static SecurityPolicy? Read(string text, out IReadOnlyList<PolicyError> errors) => PolicyReader.Read(Encoding.UTF8.GetBytes(text), out errors);

    private static string Root()
    {
        DirectoryInfo folder = new(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "SoftSgx.slnx")))
        {
            folder = folder.Parent!;
        }

        return folder.FullName;
    }
}
