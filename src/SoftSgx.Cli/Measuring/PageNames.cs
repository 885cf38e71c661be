using SoftSgx.Architecture;

namespace SoftSgx.Cli.Measuring;

/// <summary>SECINFO.FLAGS for people.</summary>
internal static class PageNames
{
    /// <summary>"reg", "tcs", or the number of another type.</summary>
    internal static string Type(SecInfoFlags flags) => new SecInfo { Flags = flags }.PageType switch
    {
        PageType.PT_REG => "reg",
        PageType.PT_TCS => "tcs",
        PageType other => $"type-{(int)other}",
    };

    /// <summary>"rw-", and in hexadecimal whatever stands in the flags beside permissions and type.</summary>
    internal static string Permissions(SecInfoFlags flags)
    {
        SecInfoFlags more = flags & ~(SecInfoFlags.RWX | SecInfoFlags.PageTypeMask);
        return string.Create(3, flags, static (text, flags) =>
        {
            text[0] = (flags & SecInfoFlags.R) != 0 ? 'r' : '-';
            text[1] = (flags & SecInfoFlags.W) != 0 ? 'w' : '-';
            text[2] = (flags & SecInfoFlags.X) != 0 ? 'x' : '-';
        }) + (more == 0 ? "" : $"+0x{(ulong)more:x}");
    }
}
