using SoftSgx.Architecture;

namespace SoftSgx.Images.Tests.Writers;

/// <summary>Writes Open Enclave images of each release's kind.</summary>
internal sealed class OpenEnclaveWriter
{
    internal ulong HeapPages { get; init; } = 3;

    internal ulong StackPages { get; init; } = 2;

    internal ulong Threads { get; init; } = 2;

    /// <summary>Bytes of the configuration: 24, 56 or 64.</summary>
    internal int Configuration { get; init; } = 64;

    internal uint Flags { get; init; }

    internal ulong StartAddress { get; init; }

    internal bool HasTls { get; init; } = true;

    internal string[] Symbols { get; init; } = [
        "_enclave_rva", "_reloc_rva", "_reloc_size", "_td_from_tcs_offset", "_tdata_rva", "_module_info"];

    internal byte[] Build()
    {
        const int Info = 0x1100;
        byte[] properties = Properties();
        ByteWriter code = new();
        code.Put(0, SdkWriter.Pattern(0x1100, 3)).Put(Info, properties).At(0x1f00, 8);
        ElfWriter elf = new() { Entry = 0x40 };
        int load = elf.Load("RX", 0, code.ToArray());
        elf.Load("RW", 0x3100, SdkWriter.Pattern(0x300, 4), 0x1400);
        elf.SectionAt(".oeinfo", 1, load + Info, properties.Length, Info);
        ByteWriter relocations = new ByteWriter().U64(0, 0x3100).U64(8, 8).U64(16, 0x40).U64(24, 0x3200).U64(32, (2UL << 32) | 18)
            .U64(40, 0);
        elf.Section(".rela.dyn", 4, relocations.ToArray(), 0, 8, 24);
        elf.Section(".rela.plt", 4, new ByteWriter().U64(0, 0x3300).U64(8, 8).U64(16, 0x50).ToArray(), 0, 8, 24);
        if (HasTls)
        {
            elf.SectionAt(".tdata", 1, load, 0x30, 0x3100, 16);
            elf.SectionAt(".tbss", 8, 0, 0x1000, 0x3130, 32);
        }

        ulong at = 0x3100;
        foreach (string symbol in Symbols)
        {
            elf.Symbol(symbol, at);
            at += 8;
        }

        return elf.Build();
    }

    private byte[] Properties()
    {
        ByteWriter properties = new();
        int size = 32 + Configuration + 48 + SigStruct.Size + 8;
        properties.At(0, size);
        properties.U32(0, (uint)size).U32(4, 2).U64(8, HeapPages).U64(16, StackPages).U64(24, Threads).U16(32, 1).U16(34, 2);
        if (Configuration == 24)
        {
            properties.U64(40, 6).U64(48, 3);
        }
        else
        {
            properties.U32(36, Flags).U64(72, 6).U64(80, 3);
        }

        if (Configuration == 64)
        {
            properties.U64(88, StartAddress);
        }

        SigStruct signature = Signatures.Plain();
        properties.Put(32 + Configuration + 48, Bytes.Of(in signature));
        return properties.ToArray();
    }
}
