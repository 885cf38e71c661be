using System.Globalization;

namespace SoftSgx.Host.Tests.Vdso;

/// <summary>The vDSO that the kernel mapped into this process.</summary>
internal static class OwnVdso
{
    private static readonly Lazy<(byte[] Bytes, ulong Base)> s_image = new(Read);

    public static byte[] Bytes => s_image.Value.Bytes;

    public static ulong Base => s_image.Value.Base;

    private static (byte[] Bytes, ulong Base) Read()
    {
        string line = File.ReadLines("/proc/self/maps").Single(l => l.EndsWith("[vdso]", StringComparison.Ordinal));
        string[] range = line.Split(' ')[0].Split('-');
        ulong start = ulong.Parse(range[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        ulong end = ulong.Parse(range[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        byte[] bytes = new byte[end - start];
        using FileStream memory = new("/proc/self/mem", FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        memory.Position = (long)start;
        memory.ReadExactly(bytes);
        return (bytes, start);
    }
}
