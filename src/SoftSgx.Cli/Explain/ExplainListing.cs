using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using SoftSgx.Host.Explain;

namespace SoftSgx.Cli.Explain;

/// <summary>What this host can and cannot enforce, as text or JSON.</summary>
internal static class ExplainListing
{
    private const int Width = 100;
    private const int Indent = 6;

    /// <summary>The text, several lines.</summary>
    internal static string Text(HostFacts host, IReadOnlyList<Statement> statements)
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"softsgx: what holds on this machine\n");
        text.Append(CultureInfo.InvariantCulture, $"  {host.Processor}, Linux {host.KernelRelease}, user {host.User}; SGX hardware: {SgxOf(host)}\n");
        text.Append(CultureInfo.InvariantCulture, $"  userfaultfd {(host.UserfaultfdErrno == 0 ? "yes" : "no")}, write protection of shared memory {YesNo(host.CanWriteProtectSharedMemory)}, pagemap {YesNo(host.HasPagemap)}, ");
        text.Append(CultureInfo.InvariantCulture, $"ptrace {YesNo(host.PtraceProblem is null)}, seccomp {YesNo(host.HasSeccomp)},\n");
        text.Append(CultureInfo.InvariantCulture, $"  protection keys {YesNo(host.HasProtectionKeys)}, CPUID faulting {YesNo(host.CpuidCanFault)}, ");
        text.Append(CultureInfo.InvariantCulture, $"vm.unprivileged_userfaultfd {host.UnprivilegedUserfaultfd?.ToString(CultureInfo.InvariantCulture) ?? "unknown"}\n\n");
        foreach (Statement statement in statements)
        {
            text.Append(CultureInfo.InvariantCulture, $"  {NameOf(statement.Verdict),-13} {statement.Property}\n");
            Wrap(text, statement.Reason);
            if (statement.Cure.Length > 0)
            {
                Wrap(text, $"cure: {statement.Cure}");
            }
        }
        text.Append("\nSoftSGX is no security boundary against the machine's owner. docs/limits.md has the details.\n");
        return text.ToString();
    }

    /// <summary>One JSON object.</summary>
    internal static string Json(HostFacts host, IReadOnlyList<Statement> statements) =>
        JsonSerializer.Serialize(
            new ExplainDocument(host, [.. statements.Select(static s => new ExplainStatement(s.Topic, s.Property, NameOf(s.Verdict), s.Reason, s.Cure))]),
            ExplainJson.Default.ExplainDocument) + "\n";

    /// <summary>A verdict as people and JSON write it.</summary>
    internal static string NameOf(Enforcement verdict) => verdict switch
    {
        Enforcement.Enforced => "enforced",
        Enforcement.Partly => "partly",
        _ => "not enforced",
    };

    private static string SgxOf(HostFacts host) =>
        !host.HasSgx ? "none" : host.HasSgxDevice ? "the processor's and the kernel's" : "the processor has it, the kernel offers no device";

    private static string YesNo(bool value) => value ? "yes" : "no";

    private static void Wrap(StringBuilder text, string paragraph)
    {
        int column = 0;
        foreach (string word in paragraph.Split(' '))
        {
            if (column > 0 && column + 1 + word.Length > Width)
            {
                text.Append('\n');
                column = 0;
            }
            text.Append(column == 0 ? new string(' ', Indent) : " ").Append(word);
            column = (column == 0 ? Indent : column + 1) + word.Length;
        }
        text.Append('\n');
    }
}

/// <summary>What JSON says.</summary>
internal sealed record ExplainDocument(HostFacts Host, IReadOnlyList<ExplainStatement> Statements);

/// <summary>A statement, its verdict by name.</summary>
internal sealed record ExplainStatement(string Topic, string Property, string Verdict, string Reason, string Cure);

/// <summary>Writes the document without reflection.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(ExplainDocument))]
internal sealed partial class ExplainJson : JsonSerializerContext;
