using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>A program header. System V ABI, "Program header".</summary>
/// <param name="HeaderOffset">Offset of the header into the file.</param>
/// <param name="Type">p_type.</param>
/// <param name="Flags">p_flags: X is 1, W is 2, R is 4.</param>
/// <param name="FileOffset">p_offset.</param>
/// <param name="Address">p_vaddr.</param>
/// <param name="FileSize">p_filesz.</param>
/// <param name="MemorySize">p_memsz.</param>
/// <param name="Alignment">p_align.</param>
internal sealed record ElfSegment(
    ulong HeaderOffset, uint Type, uint Flags, ulong FileOffset, ulong Address, ulong FileSize, ulong MemorySize, ulong Alignment)
{
    internal const uint TypeLoad = 1;
    internal const uint TypeDynamic = 2;
    internal const uint TypeTls = 7;

    private const uint Executable = 1;
    private const uint Writable = 2;
    private const uint Readable = 4;

    internal SecInfoFlags Permissions =>
        ((Flags & Readable) != 0 ? SecInfoFlags.R : 0)
        | ((Flags & Writable) != 0 ? SecInfoFlags.W : 0)
        | ((Flags & Executable) != 0 ? SecInfoFlags.X : 0);

    internal bool HasOtherFlags => (Flags & ~(Readable | Writable | Executable)) != 0;

    internal string PermissionText => PermissionNames.Of(Permissions);

    internal string TypeName => Type switch
    {
        0 => "NULL",
        TypeLoad => "LOAD",
        TypeDynamic => "DYNAMIC",
        3 => "INTERP",
        4 => "NOTE",
        6 => "PHDR",
        TypeTls => "TLS",
        0x6474e550 => "GNU_EH_FRAME",
        0x6474e551 => "GNU_STACK",
        0x6474e552 => "GNU_RELRO",
        0x6474e553 => "GNU_PROPERTY",
        _ => FactList.Hex(Type),
    };
}
