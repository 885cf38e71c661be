using System.Globalization;

namespace SoftSgx.Host.Devices;

/// <summary>Mode and owner of a device node: who may open it.</summary>
/// <param name="Mode">The nine permission bits.</param>
/// <param name="User">User id of the owner.</param>
/// <param name="Group">Group id of the owner.</param>
public sealed record DevicePermission(uint Mode, uint User, uint Group)
{
    private const uint MaximumMode = 0x1FF; // 0777

    private const string Forms = "give everyone, root, or MODE:USER:GROUP as in 0660:root:sgx_prv";

    /// <summary>0666, root: everybody may open it.</summary>
    public static DevicePermission Everyone { get; } = new(0x1B6, 0, 0);

    /// <summary>0600, root: as the kernel makes it, before any udev rule.</summary>
    public static DevicePermission Root { get; } = new(0x180, 0, 0);

    /// <summary>
    /// Reads <c>everyone</c>, <c>root</c>, or <c>MODE:USER:GROUP</c>: an octal mode, and names or numbers of user and group.
    /// </summary>
    /// <param name="text">What the user wrote.</param>
    /// <param name="permission">The permission; everyone's if something is wrong.</param>
    /// <returns>What is wrong and what to write instead, or <see langword="null"/>.</returns>
    public static string? Parse(string text, out DevicePermission permission)
    {
        ArgumentNullException.ThrowIfNull(text);
        permission = text == "root" ? Root : Everyone;
        if (text is "everyone" or "root")
        {
            return null;
        }
        string[] parts = text.Split(':');
        if (parts.Length != 3)
        {
            return $"'{text}' does not say who may open the device: {Forms}.";
        }
        if (!TryParseMode(parts[0], out uint mode))
        {
            return $"'{parts[0]}' is no mode: give up to four octal digits, at most 0777, such as 0660.";
        }
        if (!AccountFiles.TryFind("/etc/passwd", parts[1], out uint user))
        {
            return $"there is no user '{parts[1]}' in /etc/passwd: give a user's name or number.";
        }
        if (!AccountFiles.TryFind("/etc/group", parts[2], out uint group))
        {
            return $"there is no group '{parts[2]}' in /etc/group: give a group's name or number.";
        }
        permission = new DevicePermission(mode, user, group);
        return null;
    }

    /// <summary>As <see cref="Parse"/> reads it.</summary>
    public override string ToString() =>
        this == Everyone ? "everyone" : this == Root ? "root"
        : string.Create(CultureInfo.InvariantCulture, $"{ModeText}:{User}:{Group}");

    private string ModeText => "0" + Convert.ToString((int)Mode, 8).PadLeft(3, '0');

    /// <summary>The kernel's rule for a file without access control lists: generic_permission in fs/namei.c.</summary>
    /// <param name="who">Who asks.</param>
    /// <param name="access">What for: 4 reading, 2 writing, 1 executing; several together must all be allowed.</param>
    internal bool Allows(in Credentials who, uint access)
    {
        int shift = who.User == User ? 6 : who.IsIn(Group) ? 3 : 0;
        if ((access & ~(Mode >> shift)) == 0)
        {
            return true;
        }
        // CAP_DAC_OVERRIDE reads and writes everything; it executes what anybody may execute.
        const uint Execute = 1, AnyExecute = 0x49; // 0111
        return who.OverridesPermissions && ((access & Execute) == 0 || (Mode & AnyExecute) != 0);
    }

    private static bool TryParseMode(string text, out uint mode)
    {
        mode = 0;
        if (text.Length is 0 or > 4)
        {
            return false;
        }
        foreach (char digit in text)
        {
            if (digit is < '0' or > '7')
            {
                return false;
            }
            mode = (mode << 3) | (uint)(digit - '0');
        }
        return mode <= MaximumMode;
    }
}
