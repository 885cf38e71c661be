using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using SoftSgx.Cli.Policy;
using SoftSgx.Host;
using SoftSgx.Kernel;

namespace SoftSgx.Cli.Commands;

/// <summary><c>softsgx policy check</c>: looks at policy files.</summary>
internal static class PolicyCommand
{
    internal const string Name = "policy";
    internal const string CheckName = "check";

    internal const string Details =
        """
        A policy says who may run which enclave (by MRENCLAVE, MRSIGNER, product, version, attributes, user, program) and what the pages of
        enclaves are kept from (unmeasured code, code from anonymous memory, pages that are writable and executable). It is a JSON file;
        docs/policy.md describes it, docs/policy.schema.json is its schema, and samples/policies has one for development and one for
        production.

        Examples:
          softsgx policy check samples/policies/production.json
          softsgx run --policy samples/policies/development.json ./my-enclave-app
        """;

    internal const string CheckDetails =
        """
        Says everything that is wrong in a policy file, a line each: FILE:LINE:COLUMN: where in the document: what to write instead. If
        nothing is, it says on standard output what the policy amounts to.

        Examples:
          softsgx policy check production.json
          softsgx policy check --json production.json | jq '.errors[].path'

        Exit status: 0; 1 if something is wrong or the file cannot be read.
        """;

    private const int ExitFailure = 1;

    private static readonly Argument<string> s_file = new("file") { Description = "The policy file." };

    private static readonly Option<bool> s_json = new("--json") { Description = "Print JSON, for scripts." };

    internal static Command Create()
    {
        Command check = new(CheckName, "Say everything that is wrong in a policy file.") { s_file, s_json };
        check.SetAction(Check);
        return new Command(Name, "Check policies: who may run which enclave, and what its pages are kept from.") { check };
    }

    private static int Check(ParseResult result)
    {
        string name = result.GetValue(s_file)!;
        try
        {
            SecurityPolicy? policy = PolicyFile.Read(name, out IReadOnlyList<PolicyError> errors);
            if (result.GetValue(s_json))
            {
                PolicyCheckDocument document = new(
                    policy is not null,
                    policy?.IsEnforcing,
                    policy?.AllowsByDefault,
                    policy?.Rules.Count,
                    policy?.PageExceptions.Count,
                    errors);
                Console.Out.WriteLine(JsonSerializer.Serialize(document, PolicyCheckJson.Default.PolicyCheckDocument));
            }
            else if (policy is not null)
            {
                string mode = policy.IsEnforcing ? "enforcing" : "permissive";
                string otherwise = policy.AllowsByDefault ? "allow" : "deny";
                Console.Out.WriteLine(
                    $"{name}: {mode}, {Count(policy.Rules.Count, "rule")}, else {otherwise}; "
                    + $"pages: {PagesOf(policy.Pages)}, {Count(policy.PageExceptions.Count, "exception")}");
            }
            else
            {
                foreach (PolicyError error in errors)
                {
                    StandardError.Write(PolicyFile.Format(name, error) + "\n");
                }
            }
            return policy is null ? ExitFailure : 0;
        }
        catch (HostException e)
        {
            Messages.Error(e.Message);
            return ExitFailure;
        }
    }

    private static string Count(int number, string what) => $"{number} {what}{(number == 1 ? "" : "s")}";

    private static string PagesOf(PageRules rules)
    {
        string denied = rules.Denied == 0 ? "nothing denied" : $"denied {string.Join(' ', PolicyReader.NamesOf(rules.Denied))}";
        return rules.EnclaveExecute is null ? denied : $"{denied}, code from files of {Count(rules.EnclaveExecute.Count, "pattern")}";
    }
}

/// <summary>The outcome of a check.</summary>
internal sealed record PolicyCheckDocument(
    bool IsValid, bool? IsEnforcing, bool? AllowsByDefault, int? Rules, int? PageExceptions, IReadOnlyList<PolicyError> Errors);

/// <summary>Writes the document without reflection.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(PolicyCheckDocument))]
internal sealed partial class PolicyCheckJson : JsonSerializerContext;
