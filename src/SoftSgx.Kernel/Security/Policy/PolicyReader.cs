using System.Globalization;
using System.Text.Json;
using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>
/// Reads policy files: JSON, described in docs/policy.md and docs/policy.schema.json. Says everything that is wrong at once.
/// </summary>
public sealed class PolicyReader
{
    /// <summary>Larger files are not read: 16 MiB.</summary>
    public const int MaximumSize = 16 << 20;

    /// <summary>What audit lines call a decision that no rule makes.</summary>
    internal const string DefaultName = "default";

    /// <summary>What audit lines call the page rules that hold for all but the exceptions.</summary>
    internal const string PagesName = "pages";

    private const int CurrentVersion = 1;
    private const int MaximumErrors = 100;

    private static readonly (string Name, PagePermissions Value)[] s_permissions =
    [
        ("execunmr", PagePermissions.ExecUnmeasured),
        ("execdirty", PagePermissions.ExecDirty),
        ("execanon", PagePermissions.ExecAnonymous),
        ("mapwx", PagePermissions.MapWriteExecute),
        ("wxever", PagePermissions.WriteExecuteEver),
    ];

    private static readonly (string Name, AttributeFlags Value)[] s_attributes =
    [
        ("DEBUG", AttributeFlags.DEBUG),
        ("MODE64BIT", AttributeFlags.MODE64BIT),
        ("PROVISION_KEY", AttributeFlags.PROVISIONKEY),
        ("EINITTOKEN_KEY", AttributeFlags.EINITTOKEN_KEY),
        ("KSS", AttributeFlags.KSS),
        ("AEXNOTIFY", AttributeFlags.AEXNOTIFY),
    ];

    private static readonly string[] s_top = ["$schema", "version", "mode", "default", "rules", "pages"];
    private static readonly string[] s_rule =
        ["name", "action", "mrenclave", "mrsigner", "isvprodid", "isvsvn", "attributes", "uid", "exe"];

    private static readonly string[] s_pages = ["deny", "enclave_execute", "exceptions"];
    private static readonly string[] s_exception = ["name", "attributes", "uid", "exe", "deny", "enclave_execute"];

    /// <summary>What audit lines call what no rule with a name decides.</summary>
    private static readonly string[] s_ownNames = [DefaultName, PagesName];

    private readonly byte[] _utf8;
    private readonly List<PolicyError> _errors = [];
    private readonly HashSet<string> _names = [];

    private PolicyReader(byte[] utf8) => _utf8 = utf8;

    /// <summary>Reads a policy.</summary>
    /// <param name="utf8">The file.</param>
    /// <param name="errors">What is wrong, in the order of the file; the first 100.</param>
    /// <returns>The policy; <see langword="null"/> if anything is wrong.</returns>
    public static SecurityPolicy? Read(ReadOnlySpan<byte> utf8, out IReadOnlyList<PolicyError> errors)
    {
        ReadOnlySpan<byte> mark = [0xEF, 0xBB, 0xBF];
        PolicyReader reader = new((utf8.StartsWith(mark) ? utf8[mark.Length..] : utf8).ToArray());
        SecurityPolicy? policy = null;
        if (utf8.Length > MaximumSize)
        {
            reader._errors.Add(new PolicyError(1, 1, "", $"the file has {utf8.Length} bytes: a policy has at most {MaximumSize}"));
        }
        else if (PolicyNode.Read(reader._utf8, out PolicyError? error) is { } root)
        {
            policy = reader.ReadPolicy(root);
        }
        else
        {
            reader._errors.Add(error!);
        }

        errors = [.. reader._errors.OrderBy(static e => (e.Line, e.Column)).Take(MaximumErrors)];
        return errors.Count == 0 ? policy : null;
    }

    /// <summary>The names of permissions as a policy writes them.</summary>
    public static IEnumerable<string> NamesOf(PagePermissions permissions)
        => s_permissions.Where(entry => (permissions & entry.Value) != 0).Select(static entry => entry.Name);

    /// <summary>The names of attributes as a policy writes them, those that it has no name for as the architecture does.</summary>
    internal static string NamesOf(AttributeFlags attributes)
    {
        List<string> names = [];
        for (ulong rest = (ulong)attributes; rest != 0; rest &= rest - 1)
        {
            var flag = (AttributeFlags)(rest & ~(rest - 1));
            names.Add(Array.Find(s_attributes, entry => entry.Value == flag).Name ?? flag.ToString());
        }

        return names.Count == 0 ? "none" : string.Join(',', names);
    }

    /// <summary>The name of one permission.</summary>
    internal static string NameOf(PagePermissions permission) => Array.Find(s_permissions, entry => entry.Value == permission).Name;

    private SecurityPolicy ReadPolicy(PolicyNode root)
    {
        if (!IsObject(root, s_top, "a policy"))
        {
            return new SecurityPolicy(true, false, [], PageRules.Allowed, []);
        }

        if (root["version"] is not { } version)
        {
            Add(root, "\"version\" is missing: write \"version\": 1");
        }
        else if (version.Kind != JsonTokenType.Number || version.Text != CurrentVersion.ToString(CultureInfo.InvariantCulture))
        {
            Add(version, $"this softsgx knows version {CurrentVersion} of policies: write \"version\": {CurrentVersion}");
        }

        bool isEnforcing = ReadWord(root, "mode", "enforcing", "permissive", required: false) ?? true;
        bool allows = ReadWord(root, "default", "allow", "deny", required: true) ?? false;
        List<PolicyRule> rules = [];
        foreach (PolicyNode node in List(root["rules"], "rules"))
        {
            if (IsObject(node, s_rule, "a rule"))
            {
                rules.Add(ReadRule(node));
            }
        }

        return new SecurityPolicy(isEnforcing, allows, rules, ReadPages(root["pages"], out List<PageException> exceptions), exceptions);
    }

    private PolicyRule ReadRule(PolicyNode node)
    {
        (AttributeFlags required, AttributeFlags forbidden) = ReadAttributes(node["attributes"]);
        return new PolicyRule
        {
            Name = ReadName(node),
            Allows = ReadWord(node, "action", "allow", "deny", required: true) ?? false,
            MrEnclaves = ReadHashes(node["mrenclave"]),
            MrSigners = ReadHashes(node["mrsigner"]),
            Products = ReadRanges(node["isvprodid"], ushort.MaxValue),
            Versions = ReadRanges(node["isvsvn"], ushort.MaxValue),
            Users = ReadRanges(node["uid"], uint.MaxValue - 1),
            Executables = ReadPatterns(node["exe"]),
            Required = required,
            Forbidden = forbidden,
        };
    }

    private PageRules ReadPages(PolicyNode? node, out List<PageException> exceptions)
    {
        exceptions = [];
        if (node is null || !IsObject(node, s_pages, "page rules"))
        {
            return PageRules.Allowed;
        }

        foreach (PolicyNode exception in List(node["exceptions"], "exceptions"))
        {
            if (!IsObject(exception, s_exception, "an exception of page rules (pages are loaded before the identity is known)"))
            {
                continue;
            }

            (AttributeFlags required, AttributeFlags forbidden) = ReadAttributes(exception["attributes"]);
            exceptions.Add(new PageException
            {
                Name = ReadName(exception),
                Users = ReadRanges(exception["uid"], uint.MaxValue - 1),
                Executables = ReadPatterns(exception["exe"]),
                Required = required,
                Forbidden = forbidden,
                Rules = ReadPageRules(exception),
            });
        }

        return ReadPageRules(node);
    }

    private PageRules ReadPageRules(PolicyNode node)
    {
        PagePermissions denied = PagePermissions.None;
        foreach (PolicyNode item in Items(node["deny"]))
        {
            PagePermissions permission = Array.Find(s_permissions, entry => entry.Name == item.Text).Value;
            if (item.Kind != JsonTokenType.String || permission == PagePermissions.None)
            {
                Add(item, $"this is none of {string.Join(", ", s_permissions.Select(static entry => entry.Name))}");
            }

            denied |= permission;
        }

        return new PageRules(denied, node["enclave_execute"] is { } files ? ReadPatterns(files) : null);
    }

    private (AttributeFlags Required, AttributeFlags Forbidden) ReadAttributes(PolicyNode? node)
    {
        AttributeFlags required = 0, forbidden = 0;
        if (node is null || !IsObject(node, [.. s_attributes.Select(static entry => entry.Name)], "attributes"))
        {
            return default;
        }

        foreach ((string name, _, PolicyNode value) in node.Members)
        {
            AttributeFlags flag = Array.Find(s_attributes, entry => entry.Name == name).Value;
            if (value.Kind == JsonTokenType.True)
            {
                required |= flag;
            }
            else if (value.Kind == JsonTokenType.False)
            {
                forbidden |= flag;
            }
            else
            {
                Add(value, "write true for an attribute that the enclave must have, false for one that it must not have");
            }
        }

        return (required, forbidden);
    }

    private string ReadName(PolicyNode node)
    {
        PolicyNode? name = node["name"];
        if (name is null)
        {
            Add(node, "\"name\" is missing: audit lines name the rule by it");
        }
        else if (name.Kind != JsonTokenType.String || name.Text.Length == 0)
        {
            Add(name, "a name is text that is not empty");
        }
        else if (s_ownNames.Contains(name.Text))
        {
            Add(name, $"audit lines mean something else by \"{name.Text}\": take another name");
        }
        else if (!_names.Add(name.Text))
        {
            Add(name, $"there is a \"{name.Text}\" already, and audit lines could not tell them apart: take another name");
        }

        return name?.Text ?? "";
    }

    private bool? ReadWord(PolicyNode node, string name, string yes, string no, bool required)
    {
        PolicyNode? value = node[name];
        if (value is null)
        {
            if (required)
            {
                Add(node, $"\"{name}\" is missing: write \"{yes}\" or \"{no}\"");
            }

            return null;
        }

        if (value.Kind != JsonTokenType.String || (value.Text != yes && value.Text != no))
        {
            Add(value, $"write \"{yes}\" or \"{no}\"");
            return null;
        }

        return value.Text == yes;
    }

    private List<Hash256> ReadHashes(PolicyNode? node)
    {
        List<Hash256> hashes = [];
        foreach (PolicyNode item in Items(node))
        {
            Hash256 hash = default;
            bool isHash = item.Kind == JsonTokenType.String && item.Text.Length == 2 * Hash256.Size
                && Convert.FromHexString(item.Text, hash.AsSpan(), out _, out _) == System.Buffers.OperationStatus.Done;
            if (!isHash)
            {
                Add(item, "a hash has 64 hexadecimal digits");
            }

            hashes.Add(hash);
        }

        return hashes;
    }

    private List<NumberRange> ReadRanges(PolicyNode? node, uint maximum)
    {
        List<NumberRange> ranges = [];
        foreach (PolicyNode item in Items(node))
        {
            string[] ends = item.Text.Split('-', 2);
            uint first = 0, last = maximum;
            bool isRange = item.Kind switch
            {
                JsonTokenType.Number => TryParse(item.Text, out first) && (last = first) <= maximum,
                JsonTokenType.String => ends.Length == 2 && item.Text.Length > 1
                    && (ends[0].Length == 0 || TryParse(ends[0], out first)) && (ends[1].Length == 0 || TryParse(ends[1], out last)),
                _ => false,
            };
            if (!isRange || first > last || last > maximum)
            {
                Add(item, $"write a number from 0 to {maximum}, or a range of them as in \"2-5\", \"2-\" or \"-5\"");
            }

            ranges.Add(new NumberRange(first, last));
        }

        return ranges;
    }

    private List<PathPattern> ReadPatterns(PolicyNode? node)
    {
        const int MaximumPath = 4096;
        List<PathPattern> patterns = [];
        foreach (PolicyNode item in Items(node))
        {
            if (item.Kind != JsonTokenType.String || item.Text is not ['/', ..] || item.Text.Length > MaximumPath)
            {
                Add(item, "write an absolute path, with ? for a character, * for some but no slash, ** for any");
            }

            patterns.Add(new PathPattern(item.Text));
        }

        return patterns;
    }

    /// <summary>What a condition lists: one value stands for a list of one. An empty list would never hold and is an error.</summary>
    private List<PolicyNode> Items(PolicyNode? node)
    {
        if (node is null)
        {
            return [];
        }

        if (node.Kind != JsonTokenType.StartArray)
        {
            return [node];
        }

        // Of what pages are kept from, and what code may come from, nothing is something to say; no condition is called so.
        bool mayBeEmpty = node.Path.EndsWith(".deny", StringComparison.Ordinal)
            || node.Path.EndsWith(".enclave_execute", StringComparison.Ordinal);
        if (node.Items.Count == 0 && !mayBeEmpty)
        {
            Add(node, "an empty list fits nothing: leave it out if anything fits");
        }

        return node.Items;
    }

    private List<PolicyNode> List(PolicyNode? node, string name)
    {
        if (node is not null && node.Kind != JsonTokenType.StartArray)
        {
            Add(node, $"\"{name}\" is a list");
        }

        return node?.Items ?? [];
    }

    private bool IsObject(PolicyNode node, string[] names, string what)
    {
        if (node.Kind != JsonTokenType.StartObject)
        {
            Add(node, $"{what} is an object: write {{ … }}");
            return false;
        }

        HashSet<string> seen = [];
        foreach ((string name, long at, PolicyNode value) in node.Members)
        {
            if (!names.Contains(name))
            {
                Add(at, value.Path, $"\"{name}\" says nothing in {what}: it has {string.Join(", ", names)}");
            }
            else if (!seen.Add(name))
            {
                Add(at, value.Path, $"\"{name}\" is there twice: leave one out");
            }
        }

        return true;
    }

    private static bool TryParse(string text, out uint value) =>
        uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);

    private void Add(PolicyNode node, string reason) => Add(node.At, node.Path, reason);

    private void Add(long at, string path, string reason)
    {
        if (_errors.Count < MaximumErrors)
        {
            (int line, int column) = PolicyNode.PositionOf(_utf8, at);
            _errors.Add(new PolicyError(line, column, path, reason));
        }
    }
}
