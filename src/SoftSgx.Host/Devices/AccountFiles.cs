using System.Globalization;

namespace SoftSgx.Host.Devices;

/// <summary>Names of users and groups: /etc/passwd and /etc/group, whose lines both are <c>name:password:number:…</c>.</summary>
internal static class AccountFiles
{
    /// <summary>The number of a user or group; a number stands for itself.</summary>
    internal static bool TryFind(string file, string name, out uint number)
    {
        // The largest number means "none" to the kernel.
        if (uint.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out number))
        {
            return number != uint.MaxValue;
        }
        if (name.Length == 0)
        {
            return false;
        }
        try
        {
            foreach (string line in File.ReadLines(file))
            {
                string[] fields = line.Split(':');
                if (fields.Length > 2 && fields[0] == name
                    && uint.TryParse(fields[2], NumberStyles.None, CultureInfo.InvariantCulture, out number))
                {
                    return true;
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A system without that file knows no names.
        }
        return false;
    }
}
