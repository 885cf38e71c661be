namespace SoftSgx.Cli;

/// <summary>
/// A file that a command makes: it appears under its name when it is complete, and never in the place of another one unless the user
/// asked for that.
/// </summary>
internal static class NewFile
{
    /// <summary>Permissions of what everybody may read.</summary>
    internal const UnixFileMode Ordinary =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    /// <summary>Permissions of a secret.</summary>
    internal const UnixFileMode Secret = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Makes it.</summary>
    /// <param name="path">Its name.</param>
    /// <param name="replace">Whether it may take the place of a file that is there.</param>
    /// <param name="write">Writes its contents.</param>
    /// <param name="check">Looks at the complete file before it gets its name; may throw.</param>
    /// <param name="mode">Its permissions, less the umask.</param>
    /// <exception cref="FileProblemException">It is there already, or cannot be written.</exception>
    internal static void Create(
        string path, bool replace, Action<FileStream> write, Action<string>? check = null, UnixFileMode mode = Ordinary)
    {
        Refuse(path, replace);
        string temporary = $"{path}.{Path.GetRandomFileName()}";
        try
        {
            FileProblemException.Guard(path, () =>
            {
                FileStreamOptions options = new() { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = mode };
                using (FileStream file = new(temporary, options))
                {
                    write(file);
                    file.Flush(flushToDisk: true);
                }

                check?.Invoke(temporary);
                File.Move(temporary, path, overwrite: replace);
            });
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    /// <summary>Says early that a file is there which may not be replaced, before somebody waits for its contents.</summary>
    /// <exception cref="FileProblemException">It is there.</exception>
    internal static void Refuse(string path, bool replace)
    {
        if (Directory.Exists(path))
        {
            throw new FileProblemException(path, "it is a folder");
        }

        if (!replace && File.Exists(path))
        {
            throw new FileProblemException(path, "it is there already; --force replaces it");
        }

        if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder && !Directory.Exists(folder))
        {
            throw new FileProblemException(path, "there is no such folder");
        }
    }
}
