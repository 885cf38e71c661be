using System.Buffers.Binary;
using System.Numerics;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// The XSAVE area of an SSA frame: saved by an asynchronous exit, loaded by ERESUME.
/// SDM vol. 1, "Standard form of XRSTOR" and "XSAVE area"; SDM vol. 3D, "AEX operational detail".
/// </summary>
/// <remarks>
/// <code>
///   0   x87: FCW 2 | FSW 2 | FTW 1 | 0 | FOP 2 | FIP 8 | FDP 8
///  24   MXCSR 4 | MXCSR_MASK 4
///  32   ST0 to ST7, 16 bytes each
/// 160   XMM0 to XMM15
/// 416   not used by the processor; an operating system keeps its own things in 464 to 511
/// 512   XSTATE_BV 8 | XCOMP_BV 8 | reserved 8 | not written 40
/// 576   extended components at the offsets of the XsaveLayout
/// </code>
/// </remarks>
public static class SsaXsave
{
    private const int MxcsrOffset = 24;
    private const int X87RegistersOffset = 32;
    private const int XmmOffset = 160;
    private const int XmmEnd = 416;
    private const int HeaderOffset = 512;
    private const int XcompBvOffset = 520;
    private const int CheckedHeaderEnd = 536;
    private const int PageSize = 4096;
    private const ushort InitialFcw = 0x037F;
    private const uint InitialMxcsr = 0x1F80;
    private const ulong X87 = (ulong)XFeatureMask.X87;
    private const ulong Sse = (ulong)XFeatureMask.SSE;

    /// <summary>True if x87 and SSE state of an XSAVE image are what an asynchronous exit makes of them.</summary>
    public static bool IsInitial(ReadOnlySpan<byte> xsave)
    {
        Span<byte> initial = stackalloc byte[XmmEnd];
        InitializeLegacy(initial);
        return xsave[..MxcsrOffset].SequenceEqual(initial[..MxcsrOffset])
            && BinaryPrimitives.ReadUInt32LittleEndian(xsave[MxcsrOffset..]) == InitialMxcsr
            && xsave[X87RegistersOffset..XmmEnd].SequenceEqual(initial[X87RegistersOffset..]);
    }

    /// <summary>Saves the components of XFRM from <paramref name="xsave"/> into the current SSA frame.</summary>
    internal static void Save(SgxProcessor processor, LogicalProcessor logical, ulong xfrm, ReadOnlySpan<byte> xsave)
    {
        XsaveLayout layout = processor.Configuration.XsaveLayout;
        int size = layout.SizeFor(xfrm);
        ThrowIfShort(xsave, size);
        ulong present = BinaryPrimitives.ReadUInt64LittleEndian(xsave[HeaderOffset..]) & xfrm;

        // The legacy region and the part of the header that the exit writes, put together first: the host's bytes stay out.
        Span<byte> start = stackalloc byte[CheckedHeaderEnd];
        InitializeLegacy(start);
        if ((present & X87) != 0)
        {
            xsave[..MxcsrOffset].CopyTo(start);
            xsave[X87RegistersOffset..XmmOffset].CopyTo(start[X87RegistersOffset..]);
        }

        xsave[MxcsrOffset..X87RegistersOffset].CopyTo(start[MxcsrOffset..]);
        if ((present & Sse) != 0)
        {
            xsave[XmmOffset..XmmEnd].CopyTo(start[XmmOffset..]);
        }

        BinaryPrimitives.WriteUInt64LittleEndian(start[HeaderOffset..], present);
        Write(processor, logical, 0, start);

        for (ulong rest = Extended(layout, xfrm); rest != 0; rest &= rest - 1)
        {
            int index = BitOperations.TrailingZeroCount(rest);
            XsaveComponent component = layout[index];
            if ((present & (1UL << index)) != 0)
            {
                Write(processor, logical, component.Offset, xsave.Slice(component.Offset, component.Size));
            }
            else
            {
                WriteZero(processor, logical, component.Offset, component.Size);
            }
        }
    }

    /// <summary>
    /// Loads the components of XFRM from the current SSA frame into <paramref name="xsave"/>; everything else of it stays.
    /// </summary>
    /// <returns>False, and nothing changed, if the enclave's image is one that XRSTOR would refuse with #GP(0).</returns>
    internal static bool TryLoad(SgxProcessor processor, LogicalProcessor logical, ulong xfrm, Span<byte> xsave)
    {
        XsaveLayout layout = processor.Configuration.XsaveLayout;
        int size = layout.SizeFor(xfrm);
        ThrowIfShort(xsave, size);
        Span<byte> image = logical.XsaveScratch(size);
        Read(processor, logical, image);
        ulong present = BinaryPrimitives.ReadUInt64LittleEndian(image[HeaderOffset..]);
        uint mxcsr = BinaryPrimitives.ReadUInt32LittleEndian(image[MxcsrOffset..]);

        if ((present & ~xfrm) != 0) return false;
        if (!Bytes.IsZero(image[XcompBvOffset..CheckedHeaderEnd])) return false;
        if ((mxcsr & ~processor.Configuration.MxcsrMask) != 0) return false;

        LoadLegacy(image, present, xsave);
        BinaryPrimitives.WriteUInt32LittleEndian(xsave[MxcsrOffset..], mxcsr);
        for (ulong rest = Extended(layout, xfrm); rest != 0; rest &= rest - 1)
        {
            int index = BitOperations.TrailingZeroCount(rest);
            XsaveComponent component = layout[index];
            Span<byte> target = xsave.Slice(component.Offset, component.Size);
            if ((present & (1UL << index)) != 0)
            {
                image.Slice(component.Offset, component.Size).CopyTo(target);
            }
            else
            {
                target.Clear();
            }
        }

        SetPresent(xsave, xfrm, present);
        return true;
    }

    /// <summary>
    /// Puts the components of XFRM of <paramref name="xsave"/> into their initial state; everything else of it stays.
    /// </summary>
    internal static void Initialize(XsaveLayout layout, ulong xfrm, Span<byte> xsave)
    {
        ThrowIfShort(xsave, layout.SizeFor(xfrm));
        LoadLegacy([], present: 0, xsave);
        BinaryPrimitives.WriteUInt32LittleEndian(xsave[MxcsrOffset..], InitialMxcsr);
        for (ulong rest = Extended(layout, xfrm); rest != 0; rest &= rest - 1)
        {
            XsaveComponent component = layout[BitOperations.TrailingZeroCount(rest)];
            xsave.Slice(component.Offset, component.Size).Clear();
        }

        SetPresent(xsave, xfrm, present: 0);
    }

    /// <summary>
    /// XSTATE_BV of the image for the host. x87 and SSE always count as present: their bytes are explicit, and MXCSR
    /// would not be taken over by an operating system otherwise.
    /// </summary>
    private static void SetPresent(Span<byte> xsave, ulong xfrm, ulong present)
    {
        ulong host = BinaryPrimitives.ReadUInt64LittleEndian(xsave[HeaderOffset..]);
        ulong now = (host & ~xfrm) | (present & xfrm) | X87 | Sse;
        BinaryPrimitives.WriteUInt64LittleEndian(xsave[HeaderOffset..], now);
    }

    private static void LoadLegacy(ReadOnlySpan<byte> image, ulong present, Span<byte> xsave)
    {
        if ((present & X87) != 0)
        {
            image[..MxcsrOffset].CopyTo(xsave);
            image[X87RegistersOffset..XmmOffset].CopyTo(xsave[X87RegistersOffset..]);
        }
        else
        {
            InitializeX87(xsave);
        }

        if ((present & Sse) != 0)
        {
            image[XmmOffset..XmmEnd].CopyTo(xsave[XmmOffset..]);
        }
        else
        {
            xsave[XmmOffset..XmmEnd].Clear();
        }
    }

    private static void InitializeLegacy(Span<byte> image)
    {
        image.Clear();
        InitializeX87(image);
    }

    private static void InitializeX87(Span<byte> image)
    {
        image[..MxcsrOffset].Clear();
        image[X87RegistersOffset..XmmOffset].Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(image, InitialFcw);
    }

    private static ulong Extended(XsaveLayout layout, ulong xfrm) => xfrm & layout.Supported & ~(X87 | Sse);

    /// <summary>Writes into the area, whose pages need not be neighbours in the EPC.</summary>
    private static void Write(SgxProcessor processor, LogicalProcessor logical, int offset, ReadOnlySpan<byte> source)
    {
        while (!source.IsEmpty)
        {
            Span<byte> target = Rest(processor, logical, offset);
            int length = Math.Min(target.Length, source.Length);
            source[..length].CopyTo(target);
            source = source[length..];
            offset += length;
        }
    }

    private static void WriteZero(SgxProcessor processor, LogicalProcessor logical, int offset, int length)
    {
        while (length > 0)
        {
            Span<byte> target = Rest(processor, logical, offset);
            int part = Math.Min(target.Length, length);
            target[..part].Clear();
            length -= part;
            offset += part;
        }
    }

    private static void Read(SgxProcessor processor, LogicalProcessor logical, Span<byte> destination)
    {
        for (int offset = 0; offset < destination.Length;)
        {
            ReadOnlySpan<byte> source = Rest(processor, logical, offset);
            int length = Math.Min(source.Length, destination.Length - offset);
            source[..length].CopyTo(destination[offset..]);
            offset += length;
        }
    }

    /// <summary>The area from <paramref name="offset"/> to the end of the page it is in.</summary>
    private static Span<byte> Rest(SgxProcessor processor, LogicalProcessor logical, int offset) =>
        processor.Frames.Frame(logical.XsavePages[offset / PageSize])[(offset % PageSize)..];

    private static void ThrowIfShort(ReadOnlySpan<byte> xsave, int size)
    {
        if (xsave.Length < size)
        {
            throw new ArgumentException($"an XSAVE image of {xsave.Length} bytes, where XFRM needs {size}", nameof(xsave));
        }
    }
}
