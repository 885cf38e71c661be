using System.Globalization;
using SoftSgx.Kernel;

namespace SoftSgx.Simulation;

/// <summary>A pattern as people write it: <c>sequential</c>, <c>uniform</c>, <c>zipf:0.9</c>, <c>phases:64M,100K</c>.</summary>
public sealed record PatternSpec
{
    private const double MaximumExponent = 16;

    private readonly Func<ulong, AccessPattern> _make;

    private PatternSpec(string text, Func<ulong, AccessPattern> make)
    {
        Text = text;
        _make = make;
    }

    /// <summary>What was written.</summary>
    public string Text { get; }

    /// <summary>Reads a pattern.</summary>
    /// <param name="text">What somebody wrote.</param>
    /// <param name="spec">The pattern.</param>
    /// <param name="problem">What is wrong, for a user to read.</param>
    /// <returns><see langword="false"/> if it is none.</returns>
    public static bool TryParse(string text, out PatternSpec? spec, out string? problem)
    {
        ArgumentNullException.ThrowIfNull(text);
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        string name = colon < 0 ? text : text[..colon];
        string[] arguments = colon < 0 ? [] : text[(colon + 1)..].Split(',');
        Func<ulong, AccessPattern>? make = null;
        problem = null;
        switch (name)
        {
            case "sequential" when arguments.Length == 0:
                make = static pages => new SequentialPattern(pages);
                break;

            case "uniform" when arguments.Length == 0:
                make = static pages => new UniformPattern(pages);
                break;

            case "zipf" when arguments.Length == 1:
                if (double.TryParse(arguments[0], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double exponent)
                    && exponent is > 0 and <= MaximumExponent)
                {
                    make = pages => new ZipfPattern(pages, exponent);
                }
                else
                {
                    problem = $"the exponent of zipf is a number above 0 and up to {MaximumExponent}, not '{arguments[0]}'";
                }

                break;

            case "phases" when arguments.Length == 2:
                if (Quantity.TryParse(arguments[0], out ulong bytes) && bytes >= EpcPool.PageSize
                    && Quantity.TryParseCount(arguments[1], out long length) && length > 0)
                {
                    make = pages => new PhasesPattern(pages, Math.Min(pages, bytes / EpcPool.PageSize), length);
                }
                else
                {
                    problem = $"phases needs the size of its working set and accesses a phase, such as phases:64M,100K, not '{text}'";
                }

                break;

            default:
                problem = $"'{text}' is no pattern: sequential, uniform, zipf:EXPONENT or phases:SIZE,ACCESSES";
                break;
        }

        spec = make is null ? null : new PatternSpec(text, make);
        return spec is not null;
    }

    /// <summary>Makes the pattern for an enclave.</summary>
    /// <param name="pages">Its size.</param>
    public AccessPattern Create(ulong pages) => _make(pages);
}
