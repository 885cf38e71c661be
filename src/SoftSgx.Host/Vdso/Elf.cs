namespace SoftSgx.Host.Vdso;

/// <summary>The constants of ELF64 that a vDSO uses, under their native names.</summary>
/// <remarks>
/// System V ABI, "Object Files" and "Program Loading and Dynamic Linking"; the LSB for symbol versions and the GNU hash.
/// </remarks>
internal static class Elf
{
    public const int EhdrSize = 64;
    public const int PhdrSize = 56;
    public const int ShdrSize = 64;
    public const int SymSize = 24;
    public const int DynSize = 16;
    public const int VerdefSize = 20;
    public const int VerdauxSize = 8;

    public const ushort ET_DYN = 3;
    public const ushort EM_X86_64 = 62;
    public const byte ELFCLASS64 = 2;
    public const byte ELFDATA2LSB = 1;
    public const byte EV_CURRENT = 1;

    public const uint PT_LOAD = 1;
    public const uint PT_DYNAMIC = 2;
    public const uint PT_NOTE = 4;
    public const uint PT_GNU_EH_FRAME = 0x6474e550;
    public const uint PF_X = 1;
    public const uint PF_R = 4;

    public const uint SHT_PROGBITS = 1;
    public const uint SHT_STRTAB = 3;
    public const uint SHT_HASH = 5;
    public const uint SHT_DYNAMIC = 6;
    public const uint SHT_NOTE = 7;
    public const uint SHT_DYNSYM = 11;
    public const uint SHT_GNU_HASH = 0x6ffffff6;
    public const uint SHT_GNU_verdef = 0x6ffffffd;
    public const uint SHT_GNU_versym = 0x6fffffff;
    public const ulong SHF_ALLOC = 2;
    public const ulong SHF_EXECINSTR = 4;

    public const ushort SHN_UNDEF = 0;
    public const ushort SHN_ABS = 0xfff1;
    public const int STB_GLOBAL = 1;
    public const int STB_WEAK = 2;
    public const int STT_OBJECT = 1;
    public const int STT_FUNC = 2;

    public const long DT_NULL = 0;
    public const long DT_HASH = 4;
    public const long DT_STRTAB = 5;
    public const long DT_SYMTAB = 6;
    public const long DT_STRSZ = 10;
    public const long DT_SYMENT = 11;
    public const long DT_SONAME = 14;
    public const long DT_GNU_HASH = 0x6ffffef5;
    public const long DT_VERSYM = 0x6ffffff0;
    public const long DT_VERDEF = 0x6ffffffc;
    public const long DT_VERDEFNUM = 0x6ffffffd;

    public const ushort VER_DEF_CURRENT = 1;
    public const ushort VER_FLG_BASE = 1;
    /// <summary>The bits of a version index proper; the bit above them hides a symbol.</summary>
    public const ushort VERSYM_VERSION = 0x7fff;
    public const ushort VER_NDX_GLOBAL = 1;

    /// <summary>The hash of DT_HASH and of version names.</summary>
    public static uint Hash(ReadOnlySpan<byte> name)
    {
        uint hash = 0;
        foreach (byte c in name)
        {
            hash = (hash << 4) + c;
            uint high = hash & 0xf0000000;
            hash = (hash ^ (high >> 24)) & ~high;
        }
        return hash;
    }

    /// <summary>The hash of DT_GNU_HASH.</summary>
    public static uint GnuHash(ReadOnlySpan<byte> name)
    {
        uint hash = 5381;
        foreach (byte c in name)
        {
            hash = (hash * 33) + c;
        }
        return hash;
    }
}
