using System.Runtime.InteropServices;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Bench.Processor;

/// <summary>A processor over an EPC in an array.</summary>
internal sealed class BenchPlatform(int pages) : IEpcFrames, ILinearAddressSpace
{
    public const ulong Base = 0x7000_0000_0000;

    private readonly ulong[] _words = new ulong[pages * 512];
    private readonly ulong _offset = 1;
    private SgxProcessor? _processor;

    public SgxProcessor Processor =>
        _processor ??= new SgxProcessor(new ProcessorConfiguration(), PlatformSecrets.FromSeed("bench"u8), pages, this);

    public Span<byte> Frame(int page) => MemoryMarshal.AsBytes(_words.AsSpan(page * 512, 512));

    /// <summary>Page n of the enclave is EPC page n + 1; EPC page 0 is the SECS.</summary>
    public bool TryTranslate(ulong address, AccessKind access, out int epcPage, out PageFaultError faultError)
    {
        epcPage = (int)(((address - Base) >> 12) + _offset);
        faultError = PageFaultError.None;
        return true;
    }

    public void Create(ulong size)
    {
        Secs secs = default;
        secs.EnclaveSize = size;
        secs.BaseAddress = Base;
        secs.SsaFrameSize = 1;
        secs.Attributes = new SgxAttributes(AttributeFlags.MODE64BIT, 7);
        SecInfo info = SecInfo.For(PageType.PT_SECS, SecInfoFlags.None);
        Expect(ECreate.Execute(Processor, Bytes.Of(in secs), in info, 0, 0));
    }

    public static void Expect(LeafResult result)
    {
        if (!result.IsSuccess)
        {
            throw new InvalidOperationException(result.ToString());
        }
    }
}
