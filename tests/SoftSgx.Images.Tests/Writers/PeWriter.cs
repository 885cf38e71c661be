using System.Text;
using SoftSgx.Architecture;

namespace SoftSgx.Images.Tests.Writers;

/// <summary>
/// Writes enclaves of the Intel SDK for Windows: code at 0x1000, with a relocation in its second page; data at 0x3000, of which a part is
/// not in the file; the template of thread-local data at 0x4000; exports and the directory of that template in 0x5000; metadata at 0x6000;
/// relocations at 0x7000.
/// </summary>
internal sealed class PeWriter
{
    internal const int HeadersSize = 0x400;
    internal const uint Entry = 0x1234;
    internal const int MetadataSize = 1876;
    private const int Optional = 0x98;

    internal bool Is64 { get; init; } = true;

    internal uint Minor { get; init; } = 3;

    internal uint Threads { get; init; } = 2;

    internal uint StackSize { get; init; } = 0x2000;

    internal uint HeapSize { get; init; } = 0x3000;

    internal bool IsSigned { get; init; } = true;

    internal string EntryName { get; init; } = "enclave_entry";

    private ulong ImageBase => Is64 ? 0x1_8000_0000UL : 0x1000_0000;

    private int DirectoriesAt => Optional + (Is64 ? 112 : 96);

    internal byte[] Build()
    {
        byte[] relocations = new ByteWriter().U32(0, 0x2000).U32(4, 12).U16(8, 0xA010).U16(10, 0).ToArray();
        (string Name, uint Address, uint Size, byte[] Bytes, uint Characteristics)[] sections =
        [
            (".text", 0x1000, 0x1200, SdkWriter.Pattern(0x1200, 5), 0x60000020),
            (".data", 0x3000, 0x900, SdkWriter.Pattern(0x300, 6), 0xC0000040),
            (".tls", 0x4000, 0x80, SdkWriter.Pattern(0x80, 7), 0xC0000040),
            (".rdata", 0x5000, 0x200, Tables(), 0x40000040),
            ("sgxmeta", 0x6000, MetadataSize, IsSigned ? Metadata() : new byte[MetadataSize], 0x40000040),
            (".reloc", 0x7000, 12, relocations, 0x42000040),
        ];
        ByteWriter file = new();
        file.At(0, HeadersSize);
        int optionalSize = (Is64 ? 112 : 96) + (16 * 8);
        file.Put(0, "MZ"u8).U32(0x3c, 0x80).Put(0x80, "PE\0\0"u8).U16(0x84, Is64 ? 0x8664 : 0x14c).U16(0x86, sections.Length)
            .U16(0x94, optionalSize).U16(0x96, 0x2022);
        file.U16(Optional, Is64 ? 0x20b : 0x10b).U32(Optional + 16, 0x1000).U32(Optional + 32, 0x1000).U32(Optional + 36, 0x200)
            .U32(Optional + 56, 0x8000).U32(Optional + 60, HeadersSize).U32(Optional + 64, 0x12345678).U32(DirectoriesAt - 4, 16);
        _ = Is64 ? file.U64(Optional + 24, ImageBase) : file.U32(Optional + 28, (uint)ImageBase);
        Directory(file, 0, 0x5000, 0x100);
        Directory(file, 4, 0x777, 0x10);
        Directory(file, 5, 0x7000, (uint)relocations.Length);
        Directory(file, 9, 0x5100, 0x28);
        for (int i = 0; i < sections.Length; i++)
        {
            (string name, uint address, uint size, byte[] bytes, uint characteristics) = sections[i];
            int offset = file.Append(bytes, 0x200);
            int header = Optional + optionalSize + (i * 40);
            file.Put(header, Encoding.ASCII.GetBytes(name)).U32(header + 8, size).U32(header + 12, address)
                .U32(header + 16, (uint)bytes.Length).U32(header + 20, (uint)offset).U32(header + 36, characteristics);
        }

        return file.ToArray();
    }

    private void Directory(ByteWriter file, int index, uint address, uint size) =>
        file.U32(DirectoriesAt + (index * 8), address).U32(DirectoriesAt + (index * 8) + 4, size);

    // Two exports, the second of which is the entry; then the directory of thread-local data.
    private byte[] Tables()
    {
        ByteWriter tables = new();
        tables.At(0, 0x200);
        tables.U32(20, 2).U32(24, 2).U32(28, 0x5040).U32(32, 0x5050).U32(36, 0x5060);
        tables.U32(0x40, Entry).U32(0x44, 0x3000).U32(0x50, 0x5070).U32(0x54, 0x5080).U16(0x60, 1).U16(0x62, 0);
        tables.Put(0x70, "a_variable\0"u8).Put(0x80, Encoding.ASCII.GetBytes(EntryName + "\0"));
        ulong start = ImageBase + 0x4000, end = ImageBase + 0x4074;
        _ = Is64 ? tables.U64(0x100, start).U64(0x108, end) : tables.U32(0x100, (uint)start).U32(0x104, (uint)end);
        return tables.ToArray();
    }

    private byte[] Metadata()
    {
        ByteWriter metadata = new();
        metadata.At(0, MetadataSize);
        metadata.U64(0, 0x86A80294635D0E4C).U64(8, (1UL << 32) | Minor).U32(16, MetadataSize).U32(20, Threads).U32(24, 1).U32(28, 2).U32(32, 1)
            .U32(36, StackSize).U32(40, HeapSize).U32(44, 2632).U64(52, 4).U64(60, 7);
        SigStruct signature = SigStructSigner.Template();
        return [.. metadata.Put(68, Bytes.Of(in signature)).ToArray()];
    }
}
