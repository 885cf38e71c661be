namespace SoftSgx.Tests;

/// <summary>Where the vectors are that nobody of this project made.</summary>
internal static class SharedDirectory
{
    /// <summary>The directory "shared" in the checkout or beside it.</summary>
    internal static string Find()
    {
        for (DirectoryInfo? directory = new(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (!File.Exists(Path.Combine(directory.FullName, "SoftSgx.slnx")))
            {
                continue;
            }

            foreach (string candidate in new[] { "shared", "../shared" })
            {
                string path = Path.GetFullPath(Path.Combine(directory.FullName, candidate));
                if (Directory.Exists(path))
                {
                    return path;
                }
            }
        }

        throw new DirectoryNotFoundException("the vectors' directory 'shared' is neither in the checkout nor beside it");
    }
}
