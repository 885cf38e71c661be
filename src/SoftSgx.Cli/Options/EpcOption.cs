using System.Globalization;
using SoftSgx.Host;
using SoftSgx.Host.Platform;
using SoftSgx.Kernel;

namespace SoftSgx.Cli.Options;

/// <summary>The sections of the EPC as people write them: <c>96M</c>, or <c>64M@0,64M@1</c> for two NUMA nodes.</summary>
internal static class EpcOption
{
    /// <summary>As many as Linux can have nodes on most distributions, and as there are addresses for.</summary>
    private const int MaximumNode = 63;

    private const ulong PageSize = 4096;

    /// <summary>Less holds no enclave: SECS, version array, code, stack, SSA and TCS are eight pages already.</summary>
    private const ulong MinimumTotal = 64 * 1024;

    private const string Example = "such as 64M, or 64M@0,64M@1 for two NUMA nodes";

    /// <summary>The EPC of a platform; the default one if none was chosen for it.</summary>
    /// <exception cref="HostException">What the platform keeps is no EPC.</exception>
    internal static EpcLayout Of(PlatformIdentity platform)
    {
        if (platform.Epc is null)
        {
            return new RunOptions { ArgumentCount = 0 }.Epc;
        }
        return Parse(platform.Epc, out EpcLayout? layout) is string problem
            ? throw new HostException($"the EPC of the platform '{platform.Name}': {problem}")
            : layout!;
    }

    /// <summary>Reads the sections.</summary>
    /// <param name="text">What the user wrote.</param>
    /// <param name="layout">The sections; <see langword="null"/> if something is wrong.</param>
    /// <returns>What is wrong and what to write instead, or <see langword="null"/>.</returns>
    internal static string? Parse(string text, out EpcLayout? layout)
    {
        layout = null;
        string[] parts = text.Split(',');
        if (parts.Length > EpcLayout.SGX_MAX_EPC_SECTIONS)
        {
            return $"an EPC has at most {EpcLayout.SGX_MAX_EPC_SECTIONS} sections, not {parts.Length}: leave some out.";
        }
        (int Pages, int Node)[] sections = new (int Pages, int Node)[parts.Length];
        ulong total = 0;
        for (int i = 0; i < parts.Length; i++)
        {
            string[] sizeAndNode = parts[i].Split('@', 2);
            if (!ByteSize.TryParse(sizeAndNode[0], out ulong bytes))
            {
                return $"'{sizeAndNode[0]}' is no size: give a multiple of 4K up to 512G, {Example}.";
            }
            int node = 0;
            if (sizeAndNode.Length == 2
                && (!int.TryParse(sizeAndNode[1], NumberStyles.None, CultureInfo.InvariantCulture, out node) || node > MaximumNode))
            {
                return $"'{sizeAndNode[1]}' is no NUMA node: give a number from 0 to {MaximumNode}, {Example}.";
            }
            sections[i] = ((int)(bytes / PageSize), node);
            total += bytes;
        }
        if (total is < MinimumTotal or > ByteSize.Maximum)
        {
            return $"an EPC of {ByteSize.Format((long)total)} is too {(total < MinimumTotal ? "small" : "large")}: give 64K to 512G in all, {Example}.";
        }
        layout = new EpcLayout(sections);
        return null;
    }
}
