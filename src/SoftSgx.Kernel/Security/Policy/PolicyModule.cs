using System.Security.Cryptography;
using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>
/// The security module that enforces a <see cref="SecurityPolicy"/>. Every denial is one audit line and, if the policy is enforcing,
/// EACCES: what the proposals of 2019 answered at each of their hooks. At a page fault it is SIGBUS.
/// </summary>
/// <remarks>
/// <code>
///   hook            permissions                                           asked when
///   enclave_create  enclave_create                                        no identity could make the rules allow it
///   enclave_load    execdirty, wxever, execunmr, execanon, enclave_execute  a page that may be executed is added
///   enclave_map     mapwx, execdirty, wxever, execunmr, execanon          a mapping is made or changed
///   enclave_init    enclave_init                                          EINIT is next
/// </code>
/// What decides over a page is what it may be mapped with: the enclave's own EMODPE cannot exceed its mapping. A page of EAUG may be
/// mapped with anything, so for those it counts where the enclave has ever been mapped writable or executable, in any process.
/// </remarks>
public sealed class PolicyModule : ISecurityModule
{
    private const PageProtection WriteExecute = PageProtection.Write | PageProtection.Execute;

    /// <summary>Whatever depends on where the enclave was mapped before.</summary>
    private const PagePermissions NeedsHistory =
        PagePermissions.ExecDirty | PagePermissions.WriteExecuteEver | PagePermissions.ExecUnmeasured | PagePermissions.ExecAnonymous;

    private const int MaximumVerdicts = 256;

    private readonly SecurityPolicy _policy;
    private readonly IAuditLog _log;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new(); // of what follows and the log: nothing else is taken under it
    private readonly Dictionary<Caller, CallerVerdict> _verdicts = [];
    private readonly List<PolicyDenials> _denials = [];
    private long _serial;

    /// <summary>A module.</summary>
    /// <param name="policy">The policy.</param>
    /// <param name="log">Takes the audit lines.</param>
    /// <param name="time">The clock of the audit lines; the system's if left out.</param>
    public PolicyModule(SecurityPolicy policy, IAuditLog log, TimeProvider? time = null)
    {
        ArgumentNullException.ThrowIfNull(policy);
        ArgumentNullException.ThrowIfNull(log);
        _policy = policy;
        _log = log;
        _time = time ?? TimeProvider.System;
    }

    /// <summary>What was refused so far.</summary>
    public PolicyReport Report
    {
        get
        {
            lock (_gate)
            {
                return new PolicyReport(_policy.IsEnforcing, _policy.Rules.Count, [.. _denials]);
            }
        }
    }

    /// <inheritdoc/>
    public Errno Create(Enclave enclave, AttributeFlags attributes)
    {
        ArgumentNullException.ThrowIfNull(enclave);
        ICallingTask task = enclave.Subsystem.Options.CurrentTask();
        EnclaveState state = StateOf(enclave);
        CallerVerdict verdict = VerdictOn(task, attributes);
        lock (enclave.Lock)
        {
            (state.Pages, state.PagesName) = (verdict.Pages, verdict.PagesName);
        }

        return verdict.MayBeAllowed ? Errno.None : DenyCreate(enclave, task, attributes, verdict);
    }

    /// <inheritdoc/>
    public Errno Load(Enclave enclave, in PageLoad load)
    {
        ArgumentNullException.ThrowIfNull(enclave);
        EnclaveState state = StateOf(enclave);
        return load.IsAugmented ? Augment(enclave, state, in load)
            : (load.Protection & PageProtection.Execute) == 0 ? Errno.None // as in the proposals, only code is restricted
            : LoadCode(enclave, state, in load);
    }

    /// <inheritdoc/>
    public Errno Map(Enclave enclave, ulong start, ulong behind, PageProtection protection)
    {
        ArgumentNullException.ThrowIfNull(enclave);
        EnclaveState state = StateOf(enclave);
        PageProtection asked = protection & WriteExecute;
        if (asked == 0)
        {
            return Errno.None;
        }

        lock (enclave.Lock)
        {
            ICallingTask task = enclave.Subsystem.Options.CurrentTask();
            PageRules rules = state.Pages ?? _policy.PagesFor(task, null, out state.PagesName);
            PagePermissions denied = DeniedMapping(enclave, state, rules.Denied, start, behind, asked);
            Errno errno = Errno.None;
            for (int bit = 1; bit <= (int)PagePermissions.WriteExecuteEver && errno == Errno.None; bit <<= 1)
            {
                PagePermissions permission = denied & (PagePermissions)bit;
                if (permission != 0)
                {
                    errno = Deny(NameOf(permission), enclave, task, record => record
                        .Field("hook", $"enclave_map")
                        .Field("addr", $"0x{start:x}")
                        .Field("length", $"0x{behind - start:x}")
                        .Field("prot", $"{Text(protection)}")
                        .Untrusted("rule", state.PagesName));
                }
            }

            if (errno == Errno.None && (rules.Denied & NeedsHistory) != 0)
            {
                if ((asked & PageProtection.Write) != 0)
                {
                    state.EverWritable.Add(start, behind);
                }

                if ((asked & PageProtection.Execute) != 0)
                {
                    state.EverExecutable.Add(start, behind);
                }
            }

            return errno;
        }
    }

    /// <inheritdoc/>
    public Errno Init(Enclave enclave, in SigStruct sigStruct)
    {
        ArgumentNullException.ThrowIfNull(enclave);
        ICallingTask task = enclave.Subsystem.Options.CurrentTask();
        Hash256 mrEnclave = sigStruct.EnclaveHash, mrSigner = default;
        SHA256.HashData(Bytes.Of(in sigStruct.Modulus), mrSigner.AsSpan());
        ushort product = sigStruct.IsvProdId, version = sigStruct.IsvSvn;
        PolicyRule? rule = _policy.Find(task, enclave.Attributes, in mrEnclave, in mrSigner, product, version);
        return rule?.Allows ?? _policy.AllowsByDefault
            ? Errno.None
            : Deny("enclave_init", enclave, task, record => record
                .Field("hook", $"enclave_init")
                .Field("mrenclave", $"{mrEnclave}")
                .Field("mrsigner", $"{mrSigner}")
                .Field("isvprodid", $"{product}")
                .Field("isvsvn", $"{version}")
                .Field("attributes", $"{Names(enclave.Attributes)}")
                .Untrusted("rule", rule?.Name ?? "default"));
    }

    /// <summary>The names of attributes as a policy writes them.</summary>
    internal static string Names(AttributeFlags attributes)
        => attributes == 0 ? "none" : attributes.ToString().Replace(", ", ",", StringComparison.Ordinal);

    private Errno DenyCreate(Enclave enclave, ICallingTask task, AttributeFlags attributes, CallerVerdict verdict)
        => Deny("enclave_create", enclave, task, record => record
            .Field("hook", $"enclave_create")
            .Field("attributes", $"{Names(attributes)}")
            .Untrusted("rule", verdict.DenyingRule?.Name ?? "default"));

    /// <summary>
    /// What the rules say before an identity is known. It depends on nothing but the key and the policy, which does not change, so it is
    /// found once for each kind of caller; who calls is looked up each time.
    /// </summary>
    private CallerVerdict VerdictOn(ICallingTask task, AttributeFlags attributes)
    {
        var caller = new Caller(_policy.AsksUser ? task.User : 0, _policy.AsksExecutable ? task.Executable : null, attributes);
        lock (_gate)
        {
            if (_verdicts.TryGetValue(caller, out CallerVerdict? known))
            {
                return known;
            }
        }

        bool mayBeAllowed = _policy.MayBeAllowed(task, attributes, out PolicyRule? rule);
        var verdict = new CallerVerdict(mayBeAllowed, rule, _policy.PagesFor(task, attributes, out string name), name);
        lock (_gate)
        {
            if (_verdicts.Count >= MaximumVerdicts)
            {
                _verdicts.Clear();
            }

            _verdicts[caller] = verdict;
        }

        return verdict;
    }

    private static string NameOf(PagePermissions permission) => PolicyReader.NameOf(permission);

    // Nothing here captures anything: a page that may be loaded costs no allocation.
    private Errno LoadCode(Enclave enclave, EnclaveState state, in PageLoad load)
    {
        // The module is there from the start, so CREATE has set the rules.
        PageRules rules = state.Pages ?? _policy.Pages;
        bool isWritable = (load.Protection & PageProtection.Write) != 0;
        bool asksSource = rules.EnclaveExecute is not null || (rules.Denied & PagePermissions.ExecAnonymous) != 0;
        // The file behind a private mapping says nothing of a page that was written since.
        bool isAnonymous = asksSource
            && (load.Source.Path is null || (load.Source.IsPrivate && load.Memory!.IsModified(load.SourceAddress, load.Length)));
        string? refused = Denied(rules, PagePermissions.ExecDirty, isWritable)
            ?? Denied(rules, PagePermissions.WriteExecuteEver, isWritable)
            ?? Denied(rules, PagePermissions.ExecUnmeasured, !load.IsMeasured)
            ?? Denied(rules, PagePermissions.ExecAnonymous, isAnonymous)
            ?? (isAnonymous || rules.EnclaveExecute is null || state.MayExecuteFrom(rules.EnclaveExecute, load.Source.Path!)
                ? null
                : "enclave_execute");
        if (refused is null)
        {
            return Errno.None;
        }

        string? source = !asksSource ? "?" : isAnonymous ? "anon" : null;
        return DenyLoad(refused, enclave, state, in load, load.Protection, source);
    }

    /// <summary>
    /// A fault adds a page that may be mapped with anything: what it is mapped with is what counts. Under the enclave's lock.
    /// </summary>
    private Errno Augment(Enclave enclave, EnclaveState state, in PageLoad load)
    {
        PageRules? rules = state.Pages;
        if (rules is null || (rules.Denied & NeedsHistory) == 0 || !state.EverExecutable.Contains(load.Address))
        {
            return Errno.None;
        }

        bool isWritable = state.EverWritable.Contains(load.Address);
        string? refused = Denied(rules, PagePermissions.ExecDirty, isWritable)
            ?? Denied(rules, PagePermissions.WriteExecuteEver, isWritable)
            ?? Denied(rules, PagePermissions.ExecUnmeasured, true)
            ?? Denied(rules, PagePermissions.ExecAnonymous, true);
        PageProtection mapped = PageProtection.Execute | (isWritable ? PageProtection.Write : 0);
        return refused is null ? Errno.None : DenyLoad(refused, enclave, state, in load, mapped, "eaug");
    }

    /// <summary>Denies a page load; the source is a word of ours, or <see langword="null"/> for the path of the file.</summary>
    private Errno DenyLoad(
        string permission, Enclave enclave, EnclaveState state, in PageLoad load, PageProtection protection, string? source)
    {
        (ulong address, ulong length, bool isMeasured, string? path) = (load.Address, load.Length, load.IsMeasured, load.Source.Path);
        return Deny(permission, enclave, enclave.Subsystem.Options.CurrentTask(), record =>
        {
            record.Field("hook", $"enclave_load")
                .Field("addr", $"0x{address:x}")
                .Field("length", $"0x{length:x}")
                .Field("prot", $"{Text(protection)}")
                .Field("measured", $"{(isMeasured ? 1 : 0)}");
            _ = source is null ? record.Untrusted("source", path!) : record.Field("source", $"{source}");
            return record.Untrusted("rule", state.PagesName);
        });
    }

    /// <summary>What is against a mapping. Under the enclave's lock.</summary>
    private static PagePermissions DeniedMapping(
        Enclave enclave, EnclaveState state, PagePermissions rules, ulong start, ulong end, PageProtection asked)
    {
        PagePermissions denied = PagePermissions.None;
        if (asked == WriteExecute)
        {
            denied |= PagePermissions.MapWriteExecute | PagePermissions.WriteExecuteEver;
        }

        bool isExecutable = (asked & PageProtection.Execute) != 0, isWritable = (asked & PageProtection.Write) != 0;
        if (isExecutable)
        {
            if ((rules & (PagePermissions.ExecUnmeasured | PagePermissions.ExecAnonymous)) != 0
                && enclave.HasAugmentedPage(start, end))
            {
                denied |= PagePermissions.ExecUnmeasured | PagePermissions.ExecAnonymous;
            }

            if ((rules & (PagePermissions.ExecDirty | PagePermissions.WriteExecuteEver)) != 0
                && HasWriteExecutePageIn(enclave, state.EverWritable, start, end))
            {
                denied |= PagePermissions.ExecDirty | PagePermissions.WriteExecuteEver;
            }
        }

        if (isWritable && (rules & PagePermissions.WriteExecuteEver) != 0
            && HasWriteExecutePageIn(enclave, state.EverExecutable, start, end))
        {
            denied |= PagePermissions.WriteExecuteEver;
        }

        denied &= rules;
        // wxever is the broader rule: what a narrower one denies needs no second line.
        bool isNarrow = (denied & (PagePermissions.MapWriteExecute | PagePermissions.ExecDirty)) != 0;
        return isNarrow ? denied & ~PagePermissions.WriteExecuteEver : denied;
    }

    private static bool HasWriteExecutePageIn(Enclave enclave, AddressRangeSet set, ulong start, ulong end)
    {
        for (ulong at = start; set.TryNext(ref at, end, out ulong partEnd); at = partEnd)
        {
            if (enclave.HasWriteExecutePage(at, partEnd))
            {
                return true;
            }
        }

        return false;
    }

    private static string? Denied(PageRules rules, PagePermissions permission, bool isAsked)
        => isAsked && (rules.Denied & permission) != 0 ? NameOf(permission) : null;

    private static EnclaveState StateOf(Enclave enclave)
    {
        if (enclave.SecurityState is EnclaveState state)
        {
            return state;
        }

        lock (enclave.Lock)
        {
            enclave.SecurityState ??= new EnclaveState();
            return (EnclaveState)enclave.SecurityState;
        }
    }

    private static string Text(PageProtection protection) => string.Create(3, protection, static (text, value) =>
    {
        text[0] = (value & PageProtection.Read) != 0 ? 'r' : '-';
        text[1] = (value & PageProtection.Write) != 0 ? 'w' : '-';
        text[2] = (value & PageProtection.Execute) != 0 ? 'x' : '-';
    });

    private Errno Deny(string permission, Enclave enclave, ICallingTask task, Func<AuditRecord, AuditRecord> describe)
    {
        lock (_gate)
        {
            int index = _denials.FindIndex(denials => denials.Permission == permission);
            if (index < 0)
            {
                _denials.Add(new PolicyDenials(permission, 1));
            }
            else
            {
                _denials[index] = _denials[index] with { Count = _denials[index].Count + 1 };
            }

            AuditRecord record = new(_time.GetUtcNow(), ++_serial, permission);
            record.Field("pid", $"{task.Tid}")
                .Untrusted("comm", task.Command)
                .Untrusted("exe", task.Executable ?? "")
                .Field("uid", $"{task.User}")
                .Field("enclave", $"{enclave.Number}");
            _log.Write(describe(record).Field("permissive", $"{(_policy.IsEnforcing ? 0 : 1)}").ToString());
        }

        return _policy.IsEnforcing ? Errno.EACCES : Errno.None;
    }

    /// <summary>All that rules can ask before an identity is known, as far as those of the policy do.</summary>
    private readonly record struct Caller(uint User, string? Executable, AttributeFlags Attributes);

    /// <summary>What they answer.</summary>
    private sealed record CallerVerdict(bool MayBeAllowed, PolicyRule? DenyingRule, PageRules Pages, string PagesName);

    /// <summary>What the module keeps of an enclave. Guarded by the enclave's lock, but for the rules, which are set once.</summary>
    private sealed class EnclaveState
    {
        /// <summary>What holds for its pages; <see langword="null"/> before CREATE.</summary>
        public PageRules? Pages;

        /// <summary>The rule that says so.</summary>
        public string PagesName = "pages";

        private string? _lastFile;
        private bool _mayExecuteFromLast;

        /// <summary>
        /// Whether code may come from a file; remembers the answer for the last one, since a builder adds many pages of one file, often
        /// one an ioctl. Under the opener's ioctl flag.
        /// </summary>
        public bool MayExecuteFrom(IReadOnlyList<PathPattern> files, string path)
        {
            if (!ReferenceEquals(path, _lastFile))
            {
                (_lastFile, _mayExecuteFromLast) = (path, PathPattern.IsAmong(files, path));
            }

            return _mayExecuteFromLast;
        }

        /// <summary>Where it was ever mapped writable.</summary>
        public AddressRangeSet EverWritable { get; } = new();

        /// <summary>Where it was ever mapped executable.</summary>
        public AddressRangeSet EverExecutable { get; } = new();
    }
}
