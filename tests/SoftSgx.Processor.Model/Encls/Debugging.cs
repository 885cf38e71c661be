using System.Buffers.Binary;
using SoftSgx.Architecture;

namespace SoftSgx.Processor.Model;

/// <summary>EDBGRD, EDBGWR and ERDINFO, in 64-bit mode. SDM vol. 3D, the pages of those names.</summary>
public sealed partial class ModelProcessor
{
    /// <summary>Bytes of a TCS that a debugger may read: up to GSLIMIT on a processor without CET.</summary>
    public const int TcsLimit = 72;

    private const int TcsFlagsOffset = 8;

    /// <summary>ENCLS[EDBGRD].</summary>
    public Outcome EDbgRd(int page, int offset, out ulong value)
    {
        value = 0;
        if (offset is < 0 or >= 4096 || offset % 8 != 0) return Outcome.GP;
        if (!IsEpc(page)) return Outcome.PF(page);
        if (EntryOf(page) is not { } entry) return Outcome.PF(page);
        if (entry.Type is not (PageType.PT_REG or PageType.PT_TCS or PageType.PT_VA)) return Outcome.PF(page);
        if (entry.Pending || entry.Modified) return Outcome.Of(SgxError.SGX_PAGE_NOT_DEBUGGABLE);
        if (entry.Type == PageType.PT_TCS && offset >= TcsLimit) return Outcome.GP;

        ulong word = BinaryPrimitives.ReadUInt64LittleEndian(Contents[page].AsSpan(offset));
        if (entry.Type == PageType.PT_VA)
        {
            value = (word & ~7UL) != 0 ? ulong.MaxValue : 0;
            return Outcome.Ok;
        }

        if (!entry.Enclave!.Secs.Attributes.Flags.HasFlag(AttributeFlags.DEBUG)) return Outcome.GP;
        value = word;
        return Outcome.Ok;
    }

    /// <summary>ENCLS[EDBGWR].</summary>
    public Outcome EDbgWr(int page, int offset, ulong value)
    {
        if (offset is < 0 or >= 4096 || offset % 8 != 0) return Outcome.GP;
        if (!IsEpc(page)) return Outcome.PF(page);
        if (EntryOf(page) is not { } entry) return Outcome.PF(page);
        if (entry.Type is not (PageType.PT_REG or PageType.PT_TCS)) return Outcome.PF(page);
        if (entry.Pending || entry.Modified) return Outcome.Of(SgxError.SGX_PAGE_NOT_DEBUGGABLE);
        if (entry.Type == PageType.PT_TCS && offset != TcsFlagsOffset) return Outcome.GP;
        if (!entry.Enclave!.Secs.Attributes.Flags.HasFlag(AttributeFlags.DEBUG)) return Outcome.GP;

        BinaryPrimitives.WriteUInt64LittleEndian(Contents[page].AsSpan(offset), value);
        return Outcome.Ok;
    }

    /// <summary>ENCLS[ERDINFO]: the entry, and whether it has children. ENCLAVECONTEXT is where the enclave's SECS is.</summary>
    public Outcome ERdInfo(int page, out ModelEntry? entry, out bool childPresent)
    {
        entry = null;
        childPresent = false;
        if (!configuration.Oversub) return Outcome.GP;
        if (!IsEpc(page)) return Outcome.Info(SgxError.SGX_PG_NONEPC);
        if (EntryOf(page) is not { } found) return Outcome.Info(SgxError.SGX_PG_INVLD);

        entry = found;
        childPresent = found.Type == PageType.PT_SECS && ChildCount(found.Enclave!) != 0;
        return Outcome.Ok;
    }
}
