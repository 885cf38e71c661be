using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>Page tables: a dictionary from page address to EPC page, with what the page tables permit.</summary>
internal sealed class LinearSpace : ILinearAddressSpace
{
    public const int Ordinary = -1;

    private readonly Dictionary<ulong, (int Page, bool Writable)> _entries = [];
    private (ulong Address, Action Action)? _interruption;

    public void Map(ulong address, int page, bool writable = true) => _entries[address & ~4095UL] = (page, writable);

    public void Unmap(ulong address) => _entries.Remove(address & ~4095UL);

    /// <summary>When that page is translated next, something happens first, once: what another thread does in the middle of a leaf.</summary>
    public void Interrupt(ulong address, Action action) => _interruption = (address, action);

    public bool TryTranslate(ulong address, AccessKind access, out int epcPage, out PageFaultError faultError)
    {
        if (_interruption is { } interruption && interruption.Address == address)
        {
            _interruption = null;
            interruption.Action();
        }

        PageFaultError write = access == AccessKind.Write ? PageFaultError.Write : PageFaultError.None;
        epcPage = Ordinary;
        faultError = PageFaultError.User | write;
        if (!_entries.TryGetValue(address & ~4095UL, out (int Page, bool Writable) entry))
        {
            return false;
        }

        if (access == AccessKind.Write && !entry.Writable)
        {
            faultError |= PageFaultError.Present;
            return false;
        }

        epcPage = entry.Page;
        faultError = PageFaultError.None;
        return true;
    }
}
