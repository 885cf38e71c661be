using System.CommandLine;
using SoftSgx.Images;
using SoftSgx.Simulation;

namespace SoftSgx.Cli.Options;

/// <summary><c>--limit</c>: how much of an enclave to measure before it is said to be too much.</summary>
internal static class LimitOption
{
    internal static Option<ulong> Create() => new("--limit")
    {
        Description = "Refuse enclaves with more pages than that; a damaged file can ask for days of work.",
        HelpName = "SIZE",
        DefaultValueFactory = static _ => MeasureOptions.DefaultLimit,
        CustomParser = static result =>
        {
            string text = result.Tokens.Count == 1 ? result.Tokens[0].Value : "";
            if (!Quantity.TryParse(text, out ulong bytes))
            {
                result.AddError($"'{text}' is no size: such as 64G or 2T.");
            }

            return bytes;
        },
    };
}
