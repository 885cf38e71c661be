using System.Globalization;
using SoftSgx.Kernel;

namespace SoftSgx.Cli.Options;

/// <summary>EPC pages as people write them: their numbers from 0, separated by commas.</summary>
internal static class PoisonOption
{
    /// <summary>Reads the pages.</summary>
    /// <param name="text">What the user wrote.</param>
    /// <param name="pages">The pages; none if something is wrong.</param>
    /// <returns>What is wrong and what to write instead, or <see langword="null"/>.</returns>
    internal static string? Parse(string text, out int[] pages)
    {
        pages = [];
        string[] parts = text.Split(',');
        int[] read = new int[parts.Length];
        for (int i = 0; i < parts.Length; i++)
        {
            if (!int.TryParse(parts[i], NumberStyles.None, CultureInfo.InvariantCulture, out read[i]))
            {
                return $"'{parts[i]}' is no EPC page: give numbers from 0, such as 0 or 17,18.";
            }
        }
        pages = read;
        return null;
    }

    /// <summary>Whether an EPC has the pages.</summary>
    /// <returns>What is wrong and what to write instead, or <see langword="null"/>.</returns>
    internal static string? Misfit(IEnumerable<int> pages, EpcLayout epc) =>
        pages.FirstOrDefault(page => page >= epc.Pages, -1) is int missing and >= 0
            ? $"there is no EPC page {missing}: the EPC has the pages 0 to {epc.Pages - 1}; give one of them or raise --epc."
            : null;
}
