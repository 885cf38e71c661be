using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor.Model;

/// <summary>How ENCLU leaves find pages: page tables first, then the EPCM. SDM vol. 3D, "Access control".</summary>
public sealed partial class ModelProcessor
{
    private static bool InElrange(ModelLogicalProcessor logical, ulong address) => IsInRange(logical.Enclave!, address);

    /// <summary>The EPC page behind <paramref name="address"/>, or the fault.</summary>
    private Outcome? Resolve(PageTables tables, ulong address, bool write, out int page)
    {
        page = -1;
        if (tables(address, write, out int? epcPage) is { } error) return Outcome.PF(address, error);
        if (epcPage is not { } found || !IsEpc(found)) return Outcome.EpcmPF(address, write);
        page = found;
        return null;
    }

    /// <summary>A PT_REG page of the running enclave that is at its address and may be read or written.</summary>
    private bool IsUsable(ModelEnclave enclave, int page, ulong address, SecInfoFlags needed) =>
        EntryOf(page) is { Type: PageType.PT_REG, Pending: false, Modified: false, Blocked: false } entry
        && entry.Enclave == enclave
        && entry.Address == (address & ~(PageSize - 1))
        && (entry.Permissions & needed) == needed;

    /// <summary>An operand in memory of the running enclave.</summary>
    private Outcome? Operand(
        ModelLogicalProcessor logical, PageTables tables, ulong address, uint alignment, bool write, out Memory<byte> bytes)
    {
        bytes = default;
        if (address % alignment != 0) return Outcome.GP;
        if (!InElrange(logical, address)) return Outcome.GP;
        if (Resolve(tables, address, write, out int page) is { } fault) return fault;
        if (!IsUsable(logical.Enclave!, page, address, write ? SecInfoFlags.W : SecInfoFlags.R)) return Outcome.EpcmPF(address, write);
        bytes = Contents[page].AsMemory((int)(address % PageSize));
        return null;
    }

    private static T Read<T>(Memory<byte> bytes)
        where T : struct => MemoryMarshal.Read<T>(bytes.Span);
}
