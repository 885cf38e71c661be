using System.Security.Cryptography;

namespace SoftSgx.Host.Platform;

/// <summary>The platforms of a user, each in a file of the state directory that its owner alone can read.</summary>
/// <remarks>
/// <code>
///   $XDG_STATE_HOME/softsgx/platform.secret         the default platform as its first run makes it: 32 bytes, see PlatformStore
///                          /platforms/default.json  the default platform once somebody set something of it
///                          /platforms/NAME.json     the others
/// </code>
/// Files come into place whole: they are written under another name and moved. One that is damaged is named, and never replaced by us.
/// </remarks>
public sealed class PlatformDirectory
{
    private const int SeedSize = PlatformStore.SecretSize;
    private const int MaximumName = 64;
    private const string Extension = ".json";
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly string _secretPath;

    /// <summary>The platforms below a state directory.</summary>
    /// <param name="secretPath">
    /// The file of the default platform, see <see cref="PlatformStore.DefaultPath"/>; the others are in a folder beside it.
    /// </param>
    public PlatformDirectory(string secretPath)
    {
        ArgumentNullException.ThrowIfNull(secretPath);
        _secretPath = secretPath;
        Folder = Path.Combine(Path.GetDirectoryName(secretPath)!, "platforms");
    }

    /// <summary>Those of this user.</summary>
    public static PlatformDirectory OfThisUser => new(PlatformStore.DefaultPath);

    /// <summary>The folder of the platforms that have a name.</summary>
    public string Folder { get; }

    /// <summary>What is wrong with a name: it becomes a file's, so it has letters, digits, dots, dashes and underscores only.</summary>
    /// <returns>One line; <see langword="null"/> if it is a name.</returns>
    public static string? NameProblem(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        bool isName = name.Length is > 0 and <= MaximumName && char.IsAsciiLetterOrDigit(name[0])
            && name.All(static c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_');
        return isName ? null
            : $"'{name}' is no name of a platform: give up to {MaximumName} letters, digits, dots, dashes and underscores, "
                + "the first a letter or digit";
    }

    /// <summary>The platform of a name, for a run. The default platform is made if this is its first run.</summary>
    /// <exception cref="HostException">There is no such platform, or its file is damaged or unreadable.</exception>
    public PlatformIdentity Open(string name)
    {
        if (name == PlatformIdentity.DefaultName && !File.Exists(PathOf(name)))
        {
            byte[] secret = PlatformStore.ReadOrCreate(_secretPath, out string? temporary);
            return new PlatformIdentity(name, secret) { File = temporary is null ? _secretPath : null, WhyTemporary = temporary };
        }
        return Find(name) ?? throw new HostException(
            $"there is no platform '{name}': make it with softsgx platform init {name}, or see softsgx platform list");
    }

    /// <summary>The platform of a name; null if there is none, or not yet.</summary>
    /// <exception cref="HostException">It is no name, or the file is damaged or unreadable.</exception>
    public PlatformIdentity? Find(string name)
    {
        if (NameProblem(name) is string problem)
        {
            throw new HostException(problem);
        }
        string path = PathOf(name);
        if (File.Exists(path))
        {
            return Read(path, name);
        }
        return name == PlatformIdentity.DefaultName && File.Exists(_secretPath)
            ? new PlatformIdentity(name, PlatformStore.ReadOrCreate(_secretPath, out _)) { File = _secretPath }
            : null;
    }

    /// <summary>Names of the platforms that have a file, the default one first.</summary>
    /// <exception cref="HostException">The folder cannot be read.</exception>
    public IReadOnlyList<string> Names()
    {
        try
        {
            List<string> names = Directory.Exists(Folder)
                ? [.. Directory.EnumerateFiles(Folder, "*" + Extension).Select(static path => Path.GetFileNameWithoutExtension(path)!)
                    .Where(static name => NameProblem(name) is null).Order(StringComparer.Ordinal)]
                : [];
            bool hasDefault = names.Remove(PlatformIdentity.DefaultName) || File.Exists(_secretPath);
            return hasDefault ? [PlatformIdentity.DefaultName, .. names] : names;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"the platforms in {Folder} cannot be listed: {e.Message}");
        }
    }

    /// <summary>Makes a platform with a seed that there was none like before.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="set">Sets what was chosen.</param>
    /// <exception cref="HostException">It is no name, there is one of that name, or the file cannot be written.</exception>
    public PlatformIdentity Create(string name, Func<PlatformIdentity, PlatformIdentity> set)
    {
        ArgumentNullException.ThrowIfNull(set);
        if (NameProblem(name) is string problem)
        {
            throw new HostException(problem);
        }
        string path = PathOf(name);
        string? there = File.Exists(path) ? path : name == PlatformIdentity.DefaultName && File.Exists(_secretPath) ? _secretPath : null;
        if (there is not null)
        {
            throw new HostException(
                $"there is a platform '{name}' already ({there}): change it with softsgx platform update {name}, or take another name");
        }
        PlatformIdentity fresh = new(name, RandomNumberGenerator.GetBytes(SeedSize)) { Created = DateTimeOffset.UtcNow };
        PlatformIdentity platform = set(fresh) with { File = path };
        Write(path, platform, isNew: true);
        return platform;
    }

    /// <summary>Changes a platform; its seed stays.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="set">Sets what was chosen.</param>
    /// <exception cref="HostException">
    /// There is no such platform, its file is damaged or cannot be written, or the CPUSVN would be an older one: microcode is not taken
    /// back, and keys of older versions can be derived anyway.
    /// </exception>
    public PlatformIdentity Update(string name, Func<PlatformIdentity, PlatformIdentity> set)
    {
        ArgumentNullException.ThrowIfNull(set);
        PlatformIdentity before = Find(name)
            ?? throw new HostException($"there is no platform '{name}': make it with softsgx platform init {name}");
        string path = PathOf(name);
        PlatformIdentity after = set(before) with { File = path };
        if (!PlatformIdentity.IsAtLeast(after.CpuSvn.Span, before.CpuSvn.Span))
        {
            (string asked, string present) = (Convert.ToHexStringLower(after.CpuSvn.Span), Convert.ToHexStringLower(before.CpuSvn.Span));
            throw new HostException($"the CPUSVN {asked} is older in some component than the platform's, {present}: it can only rise");
        }
        Write(path, after, isNew: !File.Exists(path));
        return after;
    }

    /// <summary>Removes a platform: nobody can derive its keys any more.</summary>
    /// <returns>The files that went.</returns>
    /// <exception cref="HostException">There is no such platform, or it cannot be removed.</exception>
    public IReadOnlyList<string> Remove(string name)
    {
        if (NameProblem(name) is string problem)
        {
            throw new HostException(problem);
        }
        List<string> paths = name == PlatformIdentity.DefaultName ? [PathOf(name), _secretPath] : [PathOf(name)];
        paths.RemoveAll(static path => !File.Exists(path));
        if (paths.Count == 0)
        {
            throw new HostException($"there is no platform '{name}': see softsgx platform list");
        }
        foreach (string path in paths)
        {
            try
            {
                File.Delete(path);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new HostException($"{path} cannot be removed: {e.Message}");
            }
        }
        return paths;
    }

    private string PathOf(string name) => Path.Combine(Folder, name + Extension);

    private static PlatformIdentity Read(string path, string name)
    {
        string problem;
        try
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.Read);
            if (file.Length <= PlatformFile.MaximumSize)
            {
                byte[] bytes = new byte[file.Length];
                file.ReadExactly(bytes);
                if (PlatformFile.Read(bytes, name, out problem) is PlatformIdentity platform)
                {
                    return platform with { File = path };
                }
            }
            else
            {
                problem = $"it has {file.Length} bytes";
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"the platform '{name}' cannot be used: {e.Message}");
        }
        throw new HostException(
            $"{path} is damaged: {problem}. Restore it from a copy; without one, data sealed on that platform is lost, "
            + "and moving the file away starts afresh");
    }

    private void Write(string path, PlatformIdentity platform, bool isNew)
    {
        string fresh = Path.Combine(Folder, $".{Path.GetRandomFileName()}");
        try
        {
            Directory.CreateDirectory(Folder, OwnerOnly | UnixFileMode.UserExecute);
            FileStreamOptions options = new() { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly };
            using (FileStream file = new(fresh, options))
            {
                file.Write(PlatformFile.Write(platform));
                file.Flush(flushToDisk: true);
            }
            File.Move(fresh, path, overwrite: !isNew);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            try
            {
                File.Delete(fresh);
            }
            catch (Exception again) when (again is IOException or UnauthorizedAccessException)
            {
                // Nothing was written then.
            }
            throw new HostException(isNew && File.Exists(path)
                ? $"there is a platform '{platform.Name}' already ({path}): somebody else has just made it"
                : $"the platform '{platform.Name}' cannot be kept: {e.Message}. Set XDG_STATE_HOME to a writable directory");
        }
    }
}
