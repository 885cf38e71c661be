using System.Text;
using System.Text.RegularExpressions;
using SoftSgx.Architecture;
using SoftSgx.Processor;
using Simulated = SoftSgx.Kernel.Tests.Machine;

namespace SoftSgx.Kernel.Tests;

/// <summary>What a policy refuses at each hook, how that fails, and the one audit line of it.</summary>
public class PolicyModuleTests
{
    private const string Version = "\"version\":1,";
    private static readonly string s_signer = TestSigner.MrSigner.ToString();
    private static readonly ProcessorConfiguration s_sgx2 = new() { Sgx2 = true };
    private static readonly SecInfo s_rwx = SecInfo.For(PageType.PT_REG, SecInfoFlags.RWX);

    [Fact]
    public void Hashes_versions_attributes_users_and_programs_decide_over_INIT()
    {
        Assert.Null(Init("\"default\":\"allow\"").Refused);
        Assert.Equal("enclave_create", Init("\"default\":\"deny\"").Refused); // nothing could allow it
        Assert.Null(Init(Rule($"\"action\":\"allow\",\"mrsigner\":\"{s_signer}\",\"isvprodid\":1,\"isvsvn\":\"2-\"", "deny")).Refused);
        Assert.Equal("enclave_init", Init(Rule($"\"action\":\"allow\",\"mrsigner\":\"{s_signer}\",\"isvsvn\":\"3-\"", "deny")).Refused);
        Assert.Equal("enclave_init", Init(Rule($"\"action\":\"allow\",\"mrsigner\":\"{s_signer}\",\"isvprodid\":\"2-\"", "deny")).Refused);
        Assert.Equal("enclave_init", Init(Rule($"\"action\":\"allow\",\"mrsigner\":\"{new string('0', 64)}\"", "deny")).Refused);
        Assert.Equal("enclave_init", Init(Rule($"\"action\":\"deny\",\"mrsigner\":\"{s_signer}\"", "allow")).Refused);
        string mrEnclave = Measured();
        Assert.Null(Init(Rule($"\"action\":\"allow\",\"mrenclave\":\"{mrEnclave}\"", "deny")).Refused);
        Assert.Equal("enclave_init", Init(Rule($"\"action\":\"deny\",\"mrenclave\":[\"{new string('1', 64)}\",\"{mrEnclave}\"]", "allow")).Refused);
        Assert.Null(Init(Rule($"\"action\":\"deny\",\"mrenclave\":\"{new string('1', 64)}\"", "allow")).Refused);
        Assert.Null(Init(Rule("\"action\":\"allow\",\"uid\":[7,\"1000-1999\"]", "deny")).Refused);
        Assert.Equal("enclave_create", Init(Rule("\"action\":\"allow\",\"uid\":\"-999\"", "deny")).Refused);
        Assert.Null(Init(Rule("\"action\":\"allow\",\"exe\":\"/usr/bin/*\"", "deny")).Refused);
        Assert.Equal("enclave_create", Init(Rule("\"action\":\"allow\",\"exe\":\"/usr/*\"", "deny")).Refused);
        Assert.Equal("enclave_create", Init(Rule("\"action\":\"deny\",\"attributes\":{\"DEBUG\":true}", "allow"), AttributeFlags.DEBUG).Refused);
        Assert.Null(Init(Rule("\"action\":\"deny\",\"attributes\":{\"DEBUG\":true}", "allow")).Refused);
        Assert.Null(Init(Rule("\"action\":\"allow\",\"attributes\":{\"KSS\":true,\"DEBUG\":false}", "deny"), AttributeFlags.KSS).Refused);
    }

    [Fact]
    public void The_first_rule_that_fits_decides_however_it_is_found()
    {
        string[] rules =
        [
            $"{{\"name\":\"a\",\"action\":\"deny\",\"mrsigner\":\"{s_signer}\",\"isvsvn\":\"9-\"}}",
            $"{{\"name\":\"b\",\"action\":\"allow\",\"mrsigner\":\"{s_signer}\"}}",
            $"{{\"name\":\"c\",\"action\":\"deny\",\"mrenclave\":\"{Measured()}\"}}",
            "{\"name\":\"d\",\"action\":\"deny\"}",
        ];
        Assert.Null(Init(Rules(rules[0], rules[1], rules[2], rules[3])).Refused);
        Outcome c = Init(Rules(rules[0], rules[2], rules[1], rules[3]));
        Assert.Equal("enclave_init", c.Refused);
        Assert.Contains("rule=\"c\"", c.Lines[0], StringComparison.Ordinal);
        Outcome d = Init(Rules(rules[0], rules[3], rules[1]));
        Assert.Equal("enclave_create", d.Refused); // no identity changes that
        Assert.Contains("rule=\"d\"", d.Lines[0], StringComparison.Ordinal);
    }

    [Fact]
    public void A_thousand_rules_decide_as_a_walk_over_them_would()
    {
        const int Seed = 4711;
        var random = new Random(Seed);
        Hash256[] hashes = [.. Enumerable.Range(0, 8).Select(i => { Hash256 hash = default; hash.AsSpan().Fill((byte)i); return hash; })];
        for (int round = 0; round < 20; round++)
        {
            PolicyRule[] rules = [.. Enumerable.Range(0, 1000).Select(i => new PolicyRule
            {
                Name = $"{i}",
                Allows = random.Next(2) == 0,
                MrEnclaves = random.Next(3) == 0 ? [hashes[random.Next(8)], hashes[random.Next(8)]] : [],
                MrSigners = random.Next(2) == 0 ? [hashes[random.Next(8)]] : [],
                Versions = [new NumberRange((uint)random.Next(300, 400), 500)],
            })];
            var policy = new SecurityPolicy(true, false, rules, PageRules.Allowed, []);
            for (int i = 0; i < 50; i++)
            {
                (Hash256 mrEnclave, Hash256 mrSigner, ushort version) = (hashes[random.Next(8)], hashes[random.Next(8)], (ushort)random.Next(290, 400));
                PolicyRule? expected = Array.Find(rules, rule => rule.Fits(in mrEnclave, in mrSigner, 1, version));
                Assert.True(ReferenceEquals(expected, policy.Find(NoTask.Instance, 0, in mrEnclave, in mrSigner, 1, version)), $"seed {Seed}, round {round}");
            }
        }
    }

    [Theory]
    [InlineData("execunmr", false, true, Errno.EACCES)]
    [InlineData("execunmr", true, true, Errno.None)]
    [InlineData("execunmr", false, false, Errno.None)] // data need not be measured
    [InlineData("execanon", true, true, Errno.EACCES)]
    [InlineData("execanon", true, false, Errno.None)]
    [InlineData("mapwx", false, true, Errno.None)]
    public void Code_that_is_loaded(string denied, bool measured, bool executable, Errno expected)
    {
        var (machine, log, _) = Start(Pages(denied));
        Enclave enclave = machine.OpenCreated();
        Assert.Equal(expected, machine.AddPages(enclave, 0, 3, executable ? Simulated.RegRx : Simulated.RegRw, measured));
        Assert.Equal(expected == Errno.None ? 3 * 4096ul : 0, machine.AddedBytes);
        Assert.Equal(expected == Errno.None ? [] : [denied], log.Permissions);
    }

    [Theory]
    [InlineData("execdirty", "execdirty")]
    [InlineData("wxever", "wxever")]
    [InlineData("execunmr", null)]
    public void A_page_that_may_be_written_and_executed(string denied, string? refused)
    {
        var (machine, log, _) = Start(Pages(denied));
        Errno errno = machine.AddPages(machine.OpenCreated(), 0, 1, in s_rwx);
        Assert.Equal(refused is null ? Errno.None : Errno.EACCES, errno);
        Assert.Equal(refused is null ? [] : [refused], log.Permissions);
    }

    [Fact]
    public void Code_comes_from_files_that_the_policy_names_as_they_are()
    {
        var (machine, log, _) = Start(Pages("execanon", "\"enclave_execute\":[\"/opt/**\"],"));
        Enclave enclave = machine.OpenCreated();

        machine.Source.Path = "/opt/x/enclave.so";
        Assert.Equal(Errno.None, machine.AddPages(enclave, 0, 1, in Simulated.RegRx));
        machine.Source.IsPrivate = true;
        Assert.Equal(Errno.None, machine.AddPages(enclave, 0x1000, 1, in Simulated.RegRx));
        machine.Source.IsModified = true;
        Assert.Equal(Errno.EACCES, machine.AddPages(enclave, 0x2000, 1, in Simulated.RegRx));
        machine.Source.IsModified = false;
        machine.Source.Path = "/tmp/enclave.so";
        Assert.Equal(Errno.EACCES, machine.AddPages(enclave, 0x2000, 1, in Simulated.RegRx));
        Assert.Equal(["execanon", "enclave_execute"], log.Permissions);
        Assert.Contains("source=anon", log.Lines[0], StringComparison.Ordinal);
        Assert.Contains("source=\"/tmp/enclave.so\"", log.Lines[1], StringComparison.Ordinal);
    }

    [Fact]
    public void The_source_is_looked_at_once_an_ioctl_and_only_if_the_policy_asks()
    {
        foreach ((string pages, int asked) in new[] { ("execanon", 1), ("execunmr", 0) })
        {
            var (machine, _, _) = Start(Pages(pages));
            machine.Source.Path = "/opt/enclave.so";
            machine.Source.IsPrivate = true;
            Enclave enclave = machine.OpenCreated();
            Assert.Equal(Errno.None, machine.AddPages(enclave, 0, 8, in Simulated.RegRx));
            Assert.Equal(Errno.None, machine.AddPages(enclave, 0x8000, 8, in Simulated.RegRw));
            Assert.Equal(asked, machine.Memory.ModifiedAsked);
        }
    }

    [Fact]
    public void Nothing_that_is_remembered_of_a_source_outlives_it()
    {
        var (machine, log, _) = Start("\"default\":\"allow\",\"pages\":{\"deny\":[\"execunmr\",\"execanon\",\"execdirty\"],\"enclave_execute\":[\"/opt/**\"]}");
        machine.Source.IsPrivate = true;
        ulong offset = 0;
        Enclave enclave = machine.OpenCreated();
        (string? Path, bool Modified, SecInfo SecInfo, bool Measured, string? Refused)[] steps =
        [
            ("/opt/a", false, Simulated.RegRx, true, null),
            ("/opt/a", true, Simulated.RegRx, true, "execanon"), // written between two calls
            ("/opt/a", true, Simulated.RegRw, true, null), // and data all the same
            ("/opt/a", false, Simulated.RegRx, true, null), // mapped anew
            ("/opt/a", false, s_rwx, true, "execdirty"),
            ("/opt/a", false, Simulated.RegRx, false, "execunmr"),
            ("/tmp/a", false, Simulated.RegRx, true, "enclave_execute"), // another file at the same place
            ("/opt/b", false, Simulated.RegRx, true, null),
            (null, false, Simulated.RegRx, true, "execanon"), // deleted
            ("/opt/b", false, Simulated.RegRx, true, null),
        ];
        foreach ((string? path, bool modified, SecInfo secInfo, bool measured, string? refused) in steps)
        {
            (machine.Source.Path, machine.Source.IsModified) = (path, modified);
            Assert.Equal(refused is null ? Errno.None : Errno.EACCES, machine.AddPages(enclave, offset, 1, in secInfo, measured));
            offset += refused is null ? 4096ul : 0;
        }

        Assert.Equal(steps.Where(static step => step.Refused is not null).Select(static step => step.Refused), log.Permissions);
    }

    [Fact]
    public void Who_calls_is_looked_up_at_every_call()
    {
        const string Exception = "\"exceptions\":[{\"name\":\"x\",\"uid\":7,\"deny\":[]}]";
        string rules = $"{{\"name\":\"r\",\"action\":\"allow\",\"mrsigner\":\"{s_signer}\",\"uid\":\"5-7\",\"exe\":\"/opt/*\",\"attributes\":{{\"DEBUG\":false}}}}";
        var log = new ListLog();
        var module = new PolicyModule(Read($"\"default\":\"deny\",\"rules\":[{rules}],\"pages\":{{\"deny\":[\"execanon\"],{Exception}}}"), log);
        var task = new Task { User = 5, Executable = "/opt/a" };
        var machine = new Simulated(security: module, task: task);

        for (int round = 0; round < 2; round++)
        {
            foreach ((uint user, string? exe, AttributeFlags extra, Errno create, Errno load) in new (uint, string?, AttributeFlags, Errno, Errno)[]
            {
                (5, "/opt/a", 0, Errno.None, Errno.EACCES), (7, "/opt/a", 0, Errno.None, Errno.None), (8, "/opt/a", 0, Errno.EACCES, 0),
                (5, "/bin/a", 0, Errno.EACCES, 0), (5, null, 0, Errno.EACCES, 0), (7, "/opt/a", AttributeFlags.DEBUG, Errno.EACCES, 0),
            })
            {
                (task.User, task.Executable) = (user, exe);
                Enclave enclave = machine.Open();
                Assert.Equal(create, machine.Create(enclave, Simulated.Secs(extra: extra)));
                if (create == Errno.None)
                {
                    Assert.Equal(load, machine.AddPages(enclave, 0, 1, in Simulated.RegRx));
                }

                enclave.Release();
            }
        }

        // Between CREATE and INIT the caller may have become another.
        (task.User, task.Executable) = (7, "/opt/a");
        (Enclave built, SigStruct sigStruct) = TestEnclave.Build(machine);
        task.User = 8;
        Assert.Equal(Errno.EACCES, machine.Init(built, in sigStruct));
        task.User = 7;
        Assert.Equal(Errno.None, machine.Init(built, in sigStruct));
    }

    [Fact]
    public void More_callers_than_are_remembered()
    {
        var task = new Task();
        var machine = new Simulated(security: new PolicyModule(Read(Rule("\"action\":\"allow\",\"uid\":\"-299\"", "deny")), new ListLog()), task: task);
        for (uint user = 0; user < 600; user++)
        {
            task.User = user;
            Enclave enclave = machine.Open();
            Assert.Equal(user < 300 ? Errno.None : Errno.EACCES, machine.Create(enclave, Simulated.Secs()));
            enclave.Release();
        }
    }

    [Fact]
    public void No_mapping_is_writable_and_executable_at_once()
    {
        var (machine, log, _) = Start(Pages("mapwx"));
        Enclave enclave = machine.Open();
        Assert.Equal(Errno.EACCES, Map(enclave, 0, 1, PageProtection.Access)); // before CREATE, too
        Assert.Equal(Errno.None, machine.Create(enclave, Simulated.Secs()));
        Assert.Equal(Errno.EACCES, Map(enclave, 0, 1, PageProtection.Write | PageProtection.Execute));
        Assert.Equal(Errno.None, Map(enclave, 0, 1, PageProtection.Read | PageProtection.Write));
        Assert.Equal(Errno.None, Map(enclave, 0, 1, PageProtection.Read | PageProtection.Execute));
        Assert.Equal(Errno.None, Map(enclave, 0, 1, PageProtection.None));
        Assert.Equal(["mapwx", "mapwx"], log.Permissions);
    }

    [Theory]
    [InlineData("execdirty", true, "execdirty")]
    [InlineData("wxever", true, "wxever")]
    [InlineData("wxever", false, "wxever")]
    [InlineData("execdirty", false, null)] // code that becomes data is no dirty code
    public void A_page_of_EAUG_is_either_written_or_executed(string denied, bool writableFirst, string? refused)
    {
        var (machine, log, _) = Start(Pages(denied), s_sgx2);
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        PageProtection first = PageProtection.Read | (writableFirst ? PageProtection.Write : PageProtection.Execute);
        PageProtection second = PageProtection.Read | (writableFirst ? PageProtection.Execute : PageProtection.Write);

        Assert.Equal(Errno.None, Map(enclave, 0x10_000, 2, first));
        Assert.Equal(FaultOutcome.Present, enclave.HandleFault(Simulated.EnclaveBase + 0x10_000, first, null));
        Assert.Equal(refused is null ? Errno.None : Errno.EACCES, Map(enclave, 0x10_000, 1, second));
        Assert.Equal(refused is null ? Errno.None : Errno.EACCES, Map(enclave, 0x0F_000, 4, second)); // as a part of more
        Assert.Equal(Errno.None, Map(enclave, 0x20_000, 1, second)); // elsewhere
        Assert.Equal(refused is null ? [] : [refused, refused], log.Permissions);
    }

    [Theory]
    [InlineData("execdirty")]
    [InlineData("wxever")]
    [InlineData("execunmr")]
    [InlineData("execanon")]
    public void A_page_that_is_absent_when_it_is_mapped_is_judged_when_it_comes(string denied)
    {
        var (machine, log, module) = Start(Pages(denied), s_sgx2);
        Enclave enclave = TestEnclave.BuildInitialized(machine, sourcePath: "/opt/code");
        int free = machine.Pool.Free;
        Assert.Equal(Errno.None, Map(enclave, 0x10_000, 1, PageProtection.Read | PageProtection.Write));
        Assert.Equal(Errno.None, Map(enclave, 0x10_000, 1, PageProtection.Read | PageProtection.Execute));

        Assert.Equal(FaultOutcome.Absent, enclave.HandleFault(Simulated.EnclaveBase + 0x10_000, PageProtection.Read | PageProtection.Execute, null));
        Assert.Equal(free, machine.Pool.Free);
        Assert.Equal([denied], log.Permissions);
        Assert.Contains("source=eaug", log.Lines[0], StringComparison.Ordinal);
        Assert.Equal(1, module.Report.Total);
        Assert.Equal(FaultOutcome.Present, enclave.HandleFault(Simulated.EnclaveBase + 0x11_000, PageProtection.Read | PageProtection.Write, null));
    }

    [Theory]
    [InlineData("execunmr")]
    [InlineData("execanon")]
    public void Pages_of_EAUG_are_not_measured_and_no_files(string denied)
    {
        var (machine, log, _) = Start(Pages(denied), s_sgx2);
        Enclave enclave = TestEnclave.BuildInitialized(machine, sourcePath: "/opt/code");
        Assert.Equal(FaultOutcome.Present, enclave.HandleFault(Simulated.EnclaveBase + 0x10_000, PageProtection.Read | PageProtection.Write, null));
        Assert.Equal(Errno.None, Map(enclave, 0, 1, PageProtection.Read | PageProtection.Execute)); // what was added
        Assert.Equal(Errno.EACCES, Map(enclave, 0x10_000, 1, PageProtection.Read | PageProtection.Execute));
        Assert.Equal([denied], log.Permissions);
    }

    [Fact]
    public void Permissive_says_and_counts_and_lets_be()
    {
        Outcome outcome = Init("\"mode\":\"permissive\",\"default\":\"deny\",\"pages\":{\"deny\":[\"execanon\",\"mapwx\"]}");
        Assert.Null(outcome.Refused);
        Assert.Equal(["enclave_create", "execanon", "enclave_init"], outcome.Lines.Select(Permission));
        Assert.All(outcome.Lines, static line => Assert.EndsWith(" permissive=1\n", line, StringComparison.Ordinal));
        Assert.Equal((false, 3), (outcome.Report.IsEnforcing, outcome.Report.Total));
        Assert.Equal([new PolicyDenials("enclave_create", 1), new PolicyDenials("execanon", 1), new PolicyDenials("enclave_init", 1)], outcome.Report.Denials);
    }

    [Fact]
    public void An_exception_holds_for_its_callers()
    {
        const string Exceptions = "\"exceptions\":[{\"name\":\"debug\",\"attributes\":{\"DEBUG\":true},\"deny\":[]},{\"name\":\"user\",\"uid\":1001,\"deny\":[\"execunmr\"]}],";
        foreach ((AttributeFlags extra, uint user, Errno expected) in new[]
        {
            (AttributeFlags.None, 1000u, Errno.EACCES), (AttributeFlags.DEBUG, 1000u, Errno.None), (AttributeFlags.None, 1001u, Errno.None),
        })
        {
            var (machine, _, _) = Start(Pages("execanon", Exceptions), user: user);
            Assert.Equal(expected, machine.AddPages(machine.OpenCreated(extra: extra), 0, 1, in Simulated.RegRx));
        }
    }

    [Fact]
    public void An_audit_line_is_one_line_whatever_names_programs_have()
    {
        var log = new ListLog();
        var task = new Task { Executable = "/tmp/a\" permissive=1\ntype=AVC", Command = "ü x" };
        var module = new PolicyModule(Read("\"default\":\"deny\""), log, new Clock());
        var machine = new Simulated(security: module, task: task);
        Assert.Equal(Errno.EACCES, machine.Create(machine.Open(), Simulated.Secs()));
        string expected = "type=AVC msg=audit(1568160000.250:1): avc:  denied  { enclave_create } for  pid=42 comm=C3BC2078 "
            + "exe=2F746D702F612220" + Convert.ToHexString("permissive=1\ntype=AVC"u8) + " uid=1000 enclave=0 hook=enclave_create attributes=MODE64BIT rule=\"default\" permissive=0\n";
        Assert.Equal(expected, Assert.Single(log.Lines));
    }

    [Fact]
    public void An_enclave_that_was_refused_leaves_nothing()
    {
        var (machine, _, _) = Start(Rule($"\"action\":\"deny\",\"mrsigner\":\"{s_signer}\"", "allow"));
        (Enclave enclave, SigStruct sigStruct) = TestEnclave.Build(machine);
        Assert.Equal(Errno.EACCES, machine.Init(enclave, in sigStruct));
        Assert.False(enclave.IsInitialized);
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    private static string Measured()
    {
        (_, SigStruct sigStruct) = TestEnclave.Build(new Simulated());
        return sigStruct.EnclaveHash.ToString();
    }

    private static string Rule(string rule, string otherwise) => $"\"default\":\"{otherwise}\",\"rules\":[{{\"name\":\"r\",{rule}}}]";

    private static string Rules(params string[] rules) => $"\"default\":\"allow\",\"rules\":[{string.Join(',', rules)}]";

    private static string Pages(string denied, string more = "") => $"\"default\":\"allow\",\"pages\":{{{more}\"deny\":[\"{denied}\"]}}";

    private static SecurityPolicy Read(string policy)
    {
        SecurityPolicy? read = PolicyReader.Read(Encoding.UTF8.GetBytes($"{{{Version}{policy}}}"), out IReadOnlyList<PolicyError> errors);
        Assert.Empty(errors);
        return read!;
    }

    private static (Simulated Machine, ListLog Log, PolicyModule Module) Start(string policy, ProcessorConfiguration? configuration = null, uint user = 1000)
    {
        var log = new ListLog();
        var module = new PolicyModule(Read(policy), log);
        return (new Simulated(configuration: configuration, security: module, task: new Task { User = user }), log, module);
    }

    /// <summary>Builds an enclave up to INIT, as far as the policy lets.</summary>
    private static Outcome Init(string policy, AttributeFlags extra = 0)
    {
        var (machine, log, module) = Start(policy);
        Errno errno = machine.Create(machine.Open(), Simulated.Secs(extra: extra));
        if (errno == Errno.None)
        {
            (machine, log, module) = Start(policy);
            (Enclave enclave, SigStruct sigStruct) = TestEnclave.Build(machine, extra: extra);
            errno = machine.Init(enclave, in sigStruct);
        }

        Assert.True(errno is Errno.None or Errno.EACCES, $"{errno}");
        return new Outcome(errno == Errno.None ? null : Permission(log.Lines[^1]), log.Lines, module.Report);
    }

    private static Errno Map(Enclave enclave, ulong offset, ulong pages, PageProtection protection)
    {
        ulong start = Simulated.EnclaveBase + offset;
        Errno errno = enclave.MayMap(start, start + (pages * 4096), protection);
        return errno != Errno.None ? errno : enclave.AskToMap(start, start + (pages * 4096), protection);
    }

    private static string Permission(string line) => Regex.Match(line, @"\{ (\S+) \}").Groups[1].Value;

    private sealed record Outcome(string? Refused, List<string> Lines, PolicyReport Report);

    private sealed class ListLog : IAuditLog
    {
        public List<string> Lines { get; } = [];

        public IEnumerable<string> Permissions => Lines.Select(Permission);

        public void Write(string line) => Lines.Add(line);
    }

    private sealed class Task : ICallingTask
    {
        public int Tid => 42;

        public uint User { get; set; } = 1000;

        public string? Executable { get; set; } = "/usr/bin/app";

        public string Command { get; init; } = "app";
    }

    private sealed class Clock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => DateTimeOffset.FromUnixTimeMilliseconds(1_568_160_000_250);
    }
}
