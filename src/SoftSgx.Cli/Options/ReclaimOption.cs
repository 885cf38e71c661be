using System.Globalization;
using SoftSgx.Kernel;

namespace SoftSgx.Cli.Options;

/// <summary>The reclaimer's settings as people write them: <c>batch=16,low=32,high=64,policy=lru</c>, any of them.</summary>
internal static class ReclaimOption
{
    private const string Keys = "batch, low, high or policy, such as batch=16,low=32,high=64,policy=lru";

    /// <summary>Reads the settings; those left out are the defaults.</summary>
    /// <param name="text">What the user wrote.</param>
    /// <param name="settings">The settings; the defaults if something is wrong.</param>
    /// <returns>What is wrong and what to write instead, or <see langword="null"/>.</returns>
    internal static string? Parse(string text, out ReclaimSettings settings)
    {
        settings = new ReclaimSettings();
        ReclaimSettings read = settings;
        HashSet<string> seen = [];
        foreach (string part in text.Split(','))
        {
            string[] keyAndValue = part.Split('=', 2);
            string key = keyAndValue[0];
            if (keyAndValue.Length != 2 || key is not ("batch" or "low" or "high" or "policy"))
            {
                return $"'{part}' sets nothing of the reclaimer: give {Keys}.";
            }
            if (!seen.Add(key))
            {
                return $"{key} is given twice: leave one out.";
            }
            string value = keyAndValue[1];
            if (key == "policy")
            {
                if (PolicyNames.Find(value) is not ReplacementPolicyKind policy)
                {
                    return $"'{value}' is no replacement policy: give one of {PolicyNames.All}.";
                }
                read = read with { Policy = policy };
                continue;
            }
            if (!int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int pages))
            {
                return $"'{value}' is no number of pages: give {key}={(key == "batch" ? 16 : key == "low" ? 32 : 64)} or the like.";
            }
            read = key switch
            {
                "batch" => read with { Batch = pages },
                "low" => read with { LowPages = pages },
                _ => read with { HighPages = pages },
            };
        }
        if (read.Problem is string problem)
        {
            return $"{problem}: {(read.HighPages < read.LowPages ? "give low= and high= together, high= not the lower one" : "give another number")}.";
        }
        settings = read;
        return null;
    }

    /// <summary>Whether the settings fit an EPC: the reclaimer must be able to reach its high watermark.</summary>
    /// <returns>What is wrong and what to write instead, or <see langword="null"/>.</returns>
    internal static string? Misfit(ReclaimSettings settings, EpcLayout epc) =>
        settings.HighPages < epc.Pages ? null
        : $"the high watermark ({settings.HighPages} pages) is not below the EPC's {epc.Pages} pages, so the reclaimer would never be done: lower high= or raise --epc.";
}
