using System.CommandLine;
using System.Globalization;

namespace SoftSgx.Cli.Options;

/// <summary><c>--variant</c>: one of the ways in which a file can be built.</summary>
internal static class VariantOption
{
    internal static Option<int?> Create(string description) => new("--variant")
    {
        Description = description,
        HelpName = "NUMBER",
        CustomParser = static result =>
        {
            string text = result.Tokens.Count == 1 ? result.Tokens[0].Value : "";
            if (ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ushort number))
            {
                return number;
            }

            result.AddError($"'{text}' is no number of a variant.");
            return null;
        },
    };
}
