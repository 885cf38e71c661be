using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace SoftSgx.Architecture;

/// <summary>
/// A version array: 512 slots of 8 bytes in one EPC page; each holds the version of one evicted page.
/// SDM vol. 3D, "Version array (VA)".
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct VersionArray
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 4096;

    /// <summary>Number of slots.</summary>
    public const int SlotCount = 512;

    /// <summary>Size of a slot in bytes.</summary>
    public const int SlotSize = 8;

    /// <summary>Offset 0: the slots; 0 means empty.</summary>
    public VersionSlots Slots;

    /// <summary>The slots of a version array.</summary>
    [InlineArray(SlotCount)]
    public struct VersionSlots
    {
#pragma warning disable IDE0044 // The one field of an inline array cannot be read-only.
        private ulong _first;
#pragma warning restore IDE0044
    }
}
