using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Images.Tests;

/// <summary>Signatures that Intel made, from the directory "shared" in the checkout or beside it.</summary>
internal static class SigStructVectors
{
    public static TheoryData<string> Files => [.. Directory.GetFiles(Folder(), "*.css").Order(StringComparer.Ordinal).Select(static path => Path.GetFileName(path))];

    public static string PathOf(string file) => Path.Combine(Folder(), file);

    public static SigStruct Load(string file) => MemoryMarshal.Read<SigStruct>(File.ReadAllBytes(PathOf(file)));

    private static string Folder()
    {
        for (DirectoryInfo? directory = new(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (!File.Exists(Path.Combine(directory.FullName, "SoftSgx.slnx")))
            {
                continue;
            }

            foreach (string candidate in new[] { "shared", "../shared" })
            {
                string path = Path.GetFullPath(Path.Combine(directory.FullName, candidate, "vectors", "sigstruct"));
                if (Directory.Exists(path))
                {
                    return path;
                }
            }
        }

        throw new DirectoryNotFoundException("the vectors' directory 'shared' is neither in the checkout nor beside it");
    }
}
