using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>
/// A policy, ready to be asked: rules are found by the hashes that they name, so a thousand of them cost no more than a few.
/// </summary>
public sealed class SecurityPolicy
{
    private static readonly int[] s_none = [];

    private readonly Dictionary<Hash256, int[]> _byMrEnclave = [];
    private readonly Dictionary<Hash256, int[]> _byMrSigner = [];
    private readonly int[] _others;

    /// <summary>A policy.</summary>
    /// <param name="isEnforcing">Denials fail; otherwise they are only said.</param>
    /// <param name="allowsByDefault">What becomes of an enclave that no rule fits.</param>
    /// <param name="rules">Who may run what; the first that fits decides.</param>
    /// <param name="pages">What holds for pages.</param>
    /// <param name="exceptions">Other page rules for some callers; the first that fits holds.</param>
    public SecurityPolicy(
        bool isEnforcing, bool allowsByDefault, IReadOnlyList<PolicyRule> rules, PageRules pages, IReadOnlyList<PageException> exceptions)
    {
        ArgumentNullException.ThrowIfNull(rules);
        IsEnforcing = isEnforcing;
        AllowsByDefault = allowsByDefault;
        Rules = rules;
        Pages = pages;
        PageExceptions = exceptions;
        IEnumerable<PolicySubject> subjects = rules.Concat<PolicySubject>(exceptions);
        AsksUser = subjects.Any(static subject => subject.Users.Count > 0);
        AsksExecutable = subjects.Any(static subject => subject.Executables.Count > 0);
        _others = Index(rules);
    }

    /// <summary>Denials fail; otherwise they are only said.</summary>
    public bool IsEnforcing { get; }

    /// <summary>What becomes of an enclave that no rule fits.</summary>
    public bool AllowsByDefault { get; }

    /// <summary>Who may run what.</summary>
    public IReadOnlyList<PolicyRule> Rules { get; }

    /// <summary>What holds for pages.</summary>
    public PageRules Pages { get; }

    /// <summary>Other page rules for some callers.</summary>
    public IReadOnlyList<PageException> PageExceptions { get; }

    /// <summary>A rule or an exception depends on the caller's user id.</summary>
    internal bool AsksUser { get; }

    /// <summary>A rule or an exception depends on the program that the caller executes.</summary>
    internal bool AsksExecutable { get; }

    /// <summary>The rule that decides over an enclave.</summary>
    /// <returns>The first that fits; <see langword="null"/> if none does.</returns>
    public PolicyRule? Find(
        ICallingTask task, AttributeFlags attributes, in Hash256 mrEnclave, in Hash256 mrSigner, ushort product, ushort version)
    {
        ReadOnlySpan<int> a = _byMrEnclave.GetValueOrDefault(mrEnclave, s_none);
        ReadOnlySpan<int> b = _byMrSigner.GetValueOrDefault(mrSigner, s_none);
        ReadOnlySpan<int> c = _others;
        while (a.Length + b.Length + c.Length > 0)
        {
            // Three ascending lists: the rule that stands first in the policy is next. No rule is in two of them.
            int first = Math.Min(Head(a), Math.Min(Head(b), Head(c)));
            if (Head(a) == first)
            {
                a = a[1..];
            }
            else if (Head(b) == first)
            {
                b = b[1..];
            }
            else
            {
                c = c[1..];
            }

            PolicyRule rule = Rules[first];
            if (rule.Fits(in mrEnclave, in mrSigner, product, version) && rule.Fits(task, attributes))
            {
                return rule;
            }
        }

        return null;
    }

    /// <summary>Whether there is an identity with which an enclave of that caller and with these attributes would be allowed.</summary>
    /// <param name="task">The caller.</param>
    /// <param name="attributes">The enclave's attributes.</param>
    /// <param name="rule">The rule that denies whatever the identity; <see langword="null"/> for the default.</param>
    public bool MayBeAllowed(ICallingTask task, AttributeFlags attributes, out PolicyRule? rule)
    {
        rule = null;
        foreach (PolicyRule candidate in Rules)
        {
            // A rule that denies some identities leaves others.
            bool matters = candidate.Allows || !candidate.NeedsIdentity;
            if (matters && candidate.Fits(task, attributes))
            {
                rule = candidate.Allows ? null : candidate;
                return candidate.Allows;
            }
        }

        return AllowsByDefault;
    }

    /// <summary>The rules that hold for the pages of an enclave.</summary>
    /// <param name="task">The caller.</param>
    /// <param name="attributes">
    /// The enclave's attributes; <see langword="null"/> while they are unknown: then no exception that asks for any fits.
    /// </param>
    /// <param name="name">What audit lines call them.</param>
    public PageRules PagesFor(ICallingTask task, AttributeFlags? attributes, out string name)
    {
        foreach (PageException exception in PageExceptions)
        {
            bool asks = (exception.Required | exception.Forbidden) != 0;
            if ((attributes is not null || !asks) && exception.Fits(task, attributes ?? 0))
            {
                name = exception.Name;
                return exception.Rules;
            }
        }

        name = "pages";
        return Pages;
    }

    private static int Head(ReadOnlySpan<int> list) => list.Length == 0 ? int.MaxValue : list[0];

    private int[] Index(IReadOnlyList<PolicyRule> rules)
    {
        Dictionary<Hash256, List<int>> byMrEnclave = [], byMrSigner = [];
        List<int> others = [];
        for (int i = 0; i < rules.Count; i++)
        {
            (IReadOnlyList<Hash256> hashes, Dictionary<Hash256, List<int>>? index) =
                rules[i].MrEnclaves.Count > 0 ? (rules[i].MrEnclaves, byMrEnclave)
                : rules[i].MrSigners.Count > 0 ? (rules[i].MrSigners, byMrSigner)
                : ([], null);
            if (index is null)
            {
                others.Add(i);
                continue;
            }

            foreach (Hash256 hash in hashes.Distinct())
            {
                if (!index.TryGetValue(hash, out List<int>? list))
                {
                    index[hash] = list = [];
                }

                list.Add(i);
            }
        }

        foreach ((Hash256 hash, List<int> list) in byMrEnclave)
        {
            _byMrEnclave[hash] = [.. list];
        }

        foreach ((Hash256 hash, List<int> list) in byMrSigner)
        {
            _byMrSigner[hash] = [.. list];
        }

        return [.. others];
    }
}
