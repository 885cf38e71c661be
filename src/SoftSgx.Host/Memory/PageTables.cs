using System.Buffers.Binary;
using SoftSgx.Host.Interop;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Memory;

/// <summary>What a process's page tables say of an address.</summary>
internal static class PageTables
{
    /// <summary>True if the page is in memory (bit 63 of its entry, Documentation/admin-guide/mm/pagemap.rst).</summary>
    internal static bool IsPresent(int tid, ulong address)
    {
        Span<byte> entry = stackalloc byte[sizeof(ulong)];
        return ProcFile.Read(tid, "pagemap"u8, entry, (long)(address / PageSize * sizeof(ulong))) == entry.Length
            && BinaryPrimitives.ReadUInt64LittleEndian(entry) >> 63 != 0;
    }
}
