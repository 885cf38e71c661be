using System.Security.Cryptography;
using System.Text;
using SoftSgx.Host.Interop;

namespace SoftSgx.Host.Platform;

/// <summary>Keeps the secret from which all keys of this user's software platform derive.</summary>
/// <remarks>
/// A CPU has fuses; we have a file of 32 random bytes below <c>$XDG_STATE_HOME/softsgx</c>, readable by its owner alone. All runs of
/// one user share it, so that sealed data opens again and enclaves of two runs can attest to each other.
/// </remarks>
public static class PlatformStore
{
    /// <summary>Bytes of the secret.</summary>
    public const int SecretSize = 32;

    /// <summary>The file: <c>$XDG_STATE_HOME/softsgx/platform.secret</c>, by default below <c>~/.local/state</c>.</summary>
    public static string DefaultPath
    {
        get
        {
            string? state = Environment.GetEnvironmentVariable("XDG_STATE_HOME");
            if (string.IsNullOrEmpty(state))
            {
                string home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify);
                state = Path.Combine(home.Length > 0 ? home : "/", ".local", "state");
            }
            return Path.Combine(state, "softsgx", "platform.secret");
        }
    }

    /// <summary>Reads the secret, making it first if this is the first run.</summary>
    /// <param name="path">The file.</param>
    /// <param name="temporary">
    /// Why the secret could not be kept, in a service account without a home directory for example: it lives as long as this run.
    /// Null if it is kept.
    /// </param>
    /// <exception cref="HostException">The file is there but damaged or unreadable: its keys must not be replaced by others.</exception>
    public static byte[] ReadOrCreate(string path, out string? temporary)
    {
        temporary = null;
        if (!File.Exists(path))
        {
            try
            {
                Create(path);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                temporary = e.Message;
                return RandomNumberGenerator.GetBytes(SecretSize);
            }
        }
        try
        {
            byte[] secret = File.ReadAllBytes(path);
            return secret.Length == SecretSize
                ? secret
                : throw new HostException($"{path} is damaged: it has {secret.Length} bytes, not {SecretSize}. Data sealed with it is lost; to start afresh, move the file away");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"the platform secret {path} cannot be used: {e.Message}");
        }
    }

    /// <summary>Why a run would have no lasting secret, found out without making one; null if it would.</summary>
    /// <param name="path">The file.</param>
    public static unsafe string? Problem(string path)
    {
        const int R_OK = 4, W_OK = 2;
        bool exists = File.Exists(path);
        string? place = path;
        while (place is not null && !File.Exists(place) && !Directory.Exists(place))
        {
            place = Path.GetDirectoryName(place); // what would have to be made is made below the last folder that is there
        }
        fixed (byte* name = Encoding.UTF8.GetBytes((place ?? "/") + "\0"))
        {
            return Libc.Syscall(Native.SYS_access, (nint)name, exists ? R_OK : W_OK) == 0 ? null
                : exists ? $"{path} cannot be read" : $"{place} cannot be written";
        }
    }

    /// <summary>Writes a new secret under another name and links it into place, so that of two first runs one wins whole.</summary>
    private static void Create(string path)
    {
        const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        Directory.CreateDirectory(Path.GetDirectoryName(path)!, OwnerOnly | UnixFileMode.UserExecute);
        string fresh = $"{path}.{Path.GetRandomFileName()}";
        using (FileStream file = new(fresh, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = OwnerOnly }))
        {
            file.Write(RandomNumberGenerator.GetBytes(SecretSize));
            file.Flush(flushToDisk: true);
        }
        try
        {
            File.Move(fresh, path, overwrite: false);
        }
        catch (IOException) when (File.Exists(path))
        {
            File.Delete(fresh); // another run was first: its secret counts
        }
    }
}
