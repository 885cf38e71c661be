using System.Runtime.InteropServices;
using SoftSgx.Architecture;
using SoftSgx.Tests;

namespace SoftSgx.Images.Tests;

/// <summary>Signatures that Intel made, from the directory "shared" in the checkout or beside it.</summary>
internal static class SigStructVectors
{
    public static TheoryData<string> Files => [.. Directory.GetFiles(Folder(), "*.css").Order(StringComparer.Ordinal).Select(static path => Path.GetFileName(path))];

    public static string PathOf(string file) => Path.Combine(Folder(), file);

    public static SigStruct Load(string file) => MemoryMarshal.Read<SigStruct>(File.ReadAllBytes(PathOf(file)));

    private static string Folder() => Path.Combine(SharedDirectory.Find(), "vectors", "sigstruct");
}
