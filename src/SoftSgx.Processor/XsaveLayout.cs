using System.Collections.Immutable;
using System.Numerics;
using System.Runtime.Intrinsics.X86;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>Place of one extended state component in a standard-format XSAVE image.</summary>
/// <param name="Index">Number of the component: its bit in XCR0.</param>
/// <param name="Offset">Offset in bytes from the start of the image.</param>
/// <param name="Size">Size in bytes.</param>
public readonly record struct XsaveComponent(int Index, int Offset, int Size);

/// <summary>
/// Where the components of a standard (non-compacted) XSAVE image lie. CPUs differ in it, so it is read from the CPU at hand.
/// SDM vol. 1, "Standard format of the extended region of an XSAVE area"; CPUID leaf 0xD.
/// </summary>
public sealed class XsaveLayout
{
    /// <summary>Bytes of the legacy region: x87 and SSE state.</summary>
    public const int LegacyRegionSize = 512;

    /// <summary>Bytes of the legacy region and the header that every image has.</summary>
    public const int MinimumSize = 576;

    private const int ComponentCount = 63;
    private const int MaximumExtent = 1 << 20;
    private readonly XsaveComponent[] _components = new XsaveComponent[ComponentCount];

    /// <summary>A layout of these extended components (2 and up).</summary>
    /// <exception cref="ArgumentException">A component's number, offset or size is impossible.</exception>
    public XsaveLayout(IEnumerable<XsaveComponent> components)
    {
        ArgumentNullException.ThrowIfNull(components);
        ulong supported = (ulong)XFeatureMask.Legacy;
        int maximum = MinimumSize;
        foreach (XsaveComponent component in components)
        {
            bool fits = component.Offset is >= MinimumSize and < MaximumExtent && component.Size is > 0 and < MaximumExtent;
            if (!fits || component.Index is < 2 or >= ComponentCount)
            {
                throw new ArgumentException($"impossible XSAVE component {component}", nameof(components));
            }

            _components[component.Index] = component;
            supported |= 1UL << component.Index;
            maximum = Math.Max(maximum, component.Offset + component.Size);
        }

        Supported = supported;
        MaximumSize = maximum;
    }

    /// <summary>The layout of Intel processors.</summary>
    public static XsaveLayout Intel { get; } = new(
    [
        new XsaveComponent(2, 576, 256),
        new XsaveComponent(3, 960, 64),
        new XsaveComponent(4, 1024, 64),
        new XsaveComponent(5, 1088, 64),
        new XsaveComponent(6, 1152, 512),
        new XsaveComponent(7, 1664, 1024),
        new XsaveComponent(9, 2688, 8),
        new XsaveComponent(17, 2752, 64),
        new XsaveComponent(18, 2816, 8192),
    ]);

    /// <summary>Components that have a place in this layout, x87 and SSE among them; bits as in XCR0.</summary>
    public ulong Supported { get; }

    /// <summary>Bytes of an image of all components.</summary>
    public int MaximumSize { get; }

    /// <summary>The layout that the CPU under this process reports in CPUID leaf 0xD; Intel's where it cannot be asked.</summary>
    public static XsaveLayout FromCurrentProcessor()
    {
        const int XsaveLeaf = 0xD;
        if (!X86Base.IsSupported || X86Base.CpuId(0, 0).Eax < XsaveLeaf)
        {
            return Intel;
        }

        (int low, _, _, int high) = X86Base.CpuId(XsaveLeaf, 0);
        ulong user = (uint)low | ((ulong)(uint)high << 32);
        ImmutableArray<XsaveComponent>.Builder components = ImmutableArray.CreateBuilder<XsaveComponent>();
        for (int index = 2; index < ComponentCount; index++)
        {
            if ((user & (1UL << index)) == 0)
            {
                continue;
            }

            (int size, int offset, _, _) = X86Base.CpuId(XsaveLeaf, index);
            if (size > 0 && offset >= MinimumSize)
            {
                components.Add(new XsaveComponent(index, offset, size));
            }
        }

        return new XsaveLayout(components);
    }

    /// <summary>The place of component <paramref name="index"/> (2 and up); size 0 if it has none.</summary>
    public XsaveComponent this[int index] => (uint)index < ComponentCount ? _components[index] : default;

    /// <summary>
    /// Bytes of an image that holds the components of <paramref name="xfrm"/>: what CPUID leaf 0xD gives for XCR0 = XFRM.
    /// </summary>
    public int SizeFor(ulong xfrm)
    {
        int size = MinimumSize;
        for (ulong rest = xfrm & Supported & ~(ulong)XFeatureMask.Legacy; rest != 0; rest &= rest - 1)
        {
            XsaveComponent component = _components[BitOperations.TrailingZeroCount(rest)];
            size = Math.Max(size, component.Offset + component.Size);
        }

        return size;
    }
}
