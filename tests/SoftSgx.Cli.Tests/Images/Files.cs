using System.Buffers.Binary;

namespace SoftSgx.Cli.Tests.Images;

/// <summary>Files for commands on files, in a folder that goes with the test.</summary>
internal sealed class Files : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("softsgx-cli-");

    public string this[string name] => Path.Combine(_folder.FullName, name);

    /// <summary>
    /// An SGXS stream: what enters MRENCLAVE, as it is, so that its SHA-256 is the measurement. Pages of which the first byte is as
    /// given.
    /// </summary>
    public string Stream(string name, params byte[] pages)
    {
        using MemoryStream stream = new();
        byte[] record = new byte[64];
        "ECREATE"u8.CopyTo(record);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), 1);
        BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(12), 0x10000);
        stream.Write(record);
        for (int i = 0; i < pages.Length; i++)
        {
            Array.Clear(record);
            "EADD"u8.CopyTo(record);
            BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(8), (ulong)i * 4096);
            BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(16), 0x203);
            stream.Write(record);
            byte[] chunk = new byte[256];
            chunk[0] = pages[i];
            for (int offset = 0; offset < 4096; offset += 256)
            {
                Array.Clear(record);
                "EEXTEND"u8.CopyTo(record);
                BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(8), ((ulong)i * 4096) + (ulong)offset);
                stream.Write(record);
                stream.Write(chunk);
                chunk[0] = 0;
            }
        }

        File.WriteAllBytes(this[name], stream.ToArray());
        return this[name];
    }

    public void Dispose() => _folder.Delete(recursive: true);
}
