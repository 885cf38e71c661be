using System.Text;

namespace SoftSgx.Images.Tests.Writers;

/// <summary>Writes 64-bit PE images with sections, and base relocations in the last of them.</summary>
internal static class PeWriter
{
    internal const int HeadersSize = 0x400;

    /// <summary>Code at 0x1000, data at 0x2000, the metadata, and relocations of the first page of code.</summary>
    internal static byte[] Enclave(params ReadOnlySpan<byte[]> blocks)
    {
        ByteWriter metadata = new();
        foreach (byte[] block in blocks)
        {
            metadata.Append(block);
        }

        metadata.Append(new byte[64]);
        byte[] relocations = new ByteWriter().U32(0, 0x1000).U32(4, 12).U16(8, 0xA010).U16(10, 0).ToArray();
        (string Name, uint Address, byte[] Bytes, uint Characteristics)[] sections =
        [
            (".text", 0x1000, SdkWriter.Pattern(0x1200, 5), 0x60000020),
            (".data", 0x3000, SdkWriter.Pattern(0x300, 6), 0xC0000040),
            (".reloc", 0x4000, relocations, 0x42000040),
            ("sgxmeta", 0x5000, metadata.ToArray(), 0x40000040),
        ];
        ByteWriter file = new();
        file.At(0, HeadersSize);
        file.Put(0, "MZ"u8).U32(0x3c, 0x80).Put(0x80, "PE\0\0"u8).U16(0x84, 0x8664).U16(0x86, sections.Length).U16(0x94, 240)
            .U16(0x96, 0x2022);
        const int Optional = 0x98;
        file.U16(Optional, 0x20b).U32(Optional + 16, 0x1000).U64(Optional + 24, 0x180000000).U32(Optional + 32, 0x1000)
            .U32(Optional + 36, 0x200)
            .U32(Optional + 56, 0x8000).U32(Optional + 60, HeadersSize).U32(Optional + 64, 0x12345678).U32(Optional + 108, 16);
        file.U32(Optional + 112 + (4 * 8), 0x777).U32(Optional + 116 + (4 * 8), 0x10).U32(Optional + 112 + (5 * 8), 0x4000)
            .U32(Optional + 116 + (5 * 8), 12);
        for (int i = 0; i < sections.Length; i++)
        {
            (string name, uint address, byte[] bytes, uint characteristics) = sections[i];
            int offset = file.Append(bytes, 0x200);
            int header = Optional + 240 + (i * 40);
            file.Put(header, Encoding.ASCII.GetBytes(name)).U32(header + 8, (uint)bytes.Length).U32(header + 12, address)
                .U32(header + 16, (uint)bytes.Length).U32(header + 20, (uint)offset).U32(header + 36, characteristics);
        }

        return file.ToArray();
    }
}
