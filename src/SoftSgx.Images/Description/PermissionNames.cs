using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>Permissions as people write them.</summary>
public static class PermissionNames
{
    /// <summary>"RWX", with a hyphen for what is missing.</summary>
    /// <param name="flags">SECINFO.FLAGS, of which R, W and X count.</param>
    public static string Of(SecInfoFlags flags) => string.Concat(
        flags.HasFlag(SecInfoFlags.R) ? "R" : "-",
        flags.HasFlag(SecInfoFlags.W) ? "W" : "-",
        flags.HasFlag(SecInfoFlags.X) ? "X" : "-");
}
