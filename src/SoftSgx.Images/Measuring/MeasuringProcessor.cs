using System.Runtime.InteropServices;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Images;

/// <summary>
/// A processor with an EPC of two pages, the SECS and one through which all others pass: what measures enclaves of any size in memory
/// of one size.
/// </summary>
internal sealed class MeasuringProcessor : IEpcFrames
{
    /// <summary>SECS.BASEADDR: an enclave's measurement does not depend on it, and zero is a multiple of any size.</summary>
    private const ulong BaseAddress = 0;

    private const int SecsPage = 0;
    private const int PassagePage = 1;
    private const int EpcPages = 2;
    private const int WordsOfPage = PageContent.PageSize / sizeof(ulong);

    /// <summary>As much as any processor can: whether one at hand would take the enclave is another question than its measurement.</summary>
    private static readonly ProcessorConfiguration s_configuration = new() { Sgx2 = true, MaxEnclaveSizeLog2_64 = 57 };

    private static readonly PlatformSecrets s_secrets = PlatformSecrets.FromSeed("no key is derived here"u8);

    private readonly ulong[] _words = new ulong[EpcPages * WordsOfPage];
    private readonly SgxProcessor _processor;
    private readonly ulong _size;

    /// <summary>Creates the enclave.</summary>
    /// <param name="size">SECS.SIZE in bytes.</param>
    /// <param name="ssaFrameSize">SECS.SSAFRAMESIZE in pages.</param>
    /// <exception cref="ImageException">No processor takes such an enclave.</exception>
    public MeasuringProcessor(ulong size, uint ssaFrameSize)
    {
        _size = size;
        _processor = new SgxProcessor(s_configuration, s_secrets, EpcPages, this);

        Secs secs = default;
        secs.EnclaveSize = size;
        secs.BaseAddress = BaseAddress;
        secs.SsaFrameSize = ssaFrameSize;
        secs.Attributes = new SgxAttributes(AttributeFlags.MODE64BIT, (ulong)XFeatureMask.Legacy);
        SecInfo info = SecInfo.For(PageType.PT_SECS, SecInfoFlags.None);
        LeafResult result = ECreate.Execute(_processor, Bytes.Of(in secs), in info, linearAddress: 0, SecsPage);
        if (!result.IsSuccess)
        {
            throw new ImageException($"ECREATE refuses the enclave with {result}: {WhyNotCreated(size, ssaFrameSize)}");
        }
    }

    /// <summary>MRENCLAVE of what has been added so far.</summary>
    public Hash256 MrEnclave =>
        _processor.TryGetMeasurement(SecsPage, out Hash256 digest)
            ? digest
            : throw new InvalidOperationException("the enclave is neither initialised nor in use by another thread");

    /// <summary>Adds, measures and removes equal consecutive pages.</summary>
    /// <exception cref="ImageException">EADD refuses one of them.</exception>
    public void Pass(PageRun run, ulong offset, ulong count, ReadOnlySpan<byte> contents)
    {
        SecInfo info = new() { Flags = run.Flags };
        LeafResult result = PassingPages.Execute(
            _processor, contents, in info, BaseAddress + offset, count, run.MeasuredChunks, SecsPage, PassagePage, out ulong done);
        if (!result.IsSuccess)
        {
            throw Refused("EADD", result, run, offset + (done * PageContent.PageSize));
        }
    }

    /// <summary>The same for one page, leaf by leaf.</summary>
    /// <exception cref="ImageException">A leaf refuses it.</exception>
    public void Pass(PageRun run, ulong offset, ReadOnlySpan<byte> contents, IMeasurementTrace trace)
    {
        SecInfo info = new() { Flags = run.Flags };
        LeafResult result = EAdd.Execute(_processor, contents, in info, BaseAddress + offset, SecsPage, PassagePage);
        if (!result.IsSuccess)
        {
            throw Refused("EADD", result, run, offset);
        }

        trace.Added(offset, (run.Flags & ~SecInfoFlags.RWX) | _processor.Epcm.Permissions(PassagePage));
        for (int chunk = 0; chunk < PageContent.PageSize; chunk += EExtend.ChunkLength)
        {
            if ((run.MeasuredChunks >> (chunk / EExtend.ChunkLength) & 1) == 0)
            {
                continue;
            }

            result = EExtend.Execute(_processor, SecsPage, PassagePage, chunk);
            if (!result.IsSuccess)
            {
                throw Refused("EEXTEND", result, run, offset + (uint)chunk);
            }

            trace.Extended(offset + (uint)chunk, Frame(PassagePage).Slice(chunk, EExtend.ChunkLength));
        }

        result = ERemove.Execute(_processor, PassagePage);
        if (!result.IsSuccess)
        {
            throw Refused("EREMOVE", result, run, offset);
        }
    }

    /// <inheritdoc/>
    public Span<byte> Frame(int page) => MemoryMarshal.AsBytes(_words.AsSpan(page * WordsOfPage, WordsOfPage));

    private static string WhyNotCreated(ulong size, uint ssaFrameSize) => (size, ssaFrameSize) switch
    {
        (_, 0) => "an SSA frame of no pages",
        ( < 8192, _) => $"a size of 0x{size:x} bytes, less than two pages",
        var (bytes, _) when !ulong.IsPow2(bytes) => $"a size of 0x{size:x} bytes, not a power of two",
        _ => $"a size of 0x{size:x} bytes, more than any processor addresses",
    };

    private ImageException Refused(string leaf, LeafResult result, PageRun run, ulong offset)
    {
        SecInfo info = new() { Flags = run.Flags };
        string why = offset switch
        {
            _ when !info.IsReservedZero => $"SECINFO.FLAGS 0x{(ulong)run.Flags:x} have reserved bits",
            _ when info.PageType is not (PageType.PT_REG or PageType.PT_TCS) => $"a page of type {(int)info.PageType} cannot be added",
            _ when info.PageType == PageType.PT_REG && info.IsWriteOnly => "it is writable and not readable",
            _ when offset % PageContent.PageSize != 0 => "it is not aligned to pages",
            _ when offset >= _size => $"it lies outside the enclave of 0x{_size:x} bytes",
            _ => "a reserved field of the TCS is not zero",
        };
        return new ImageException($"{leaf} refuses the page at offset 0x{offset:x} of the enclave ({run.Name}) with {result}: {why}");
    }
}
