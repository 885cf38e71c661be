using System.Runtime.InteropServices;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Images.Tests;

/// <summary>An enclave of a layout in an EPC of its own, page for page, as a kernel builds it.</summary>
internal sealed class BuiltEnclave : IEpcFrames, IDisposable
{
    private const int SecsPage = 0;
    private const int Pages = 256;

    private readonly ulong[] _words = new ulong[Pages * 512];
    private readonly SgxProcessor _processor;

    public BuiltEnclave(EnclaveLayout layout, SgxAttributes attributes)
    {
        _processor = new SgxProcessor(new ProcessorConfiguration(), PlatformSecrets.FromSeed("built"u8), Pages, this);
        Secs secs = default;
        secs.EnclaveSize = layout.Size;
        secs.SsaFrameSize = layout.SsaFrameSize;
        secs.Attributes = attributes;
        SecInfo info = SecInfo.For(PageType.PT_SECS, SecInfoFlags.None);
        Assert.Equal(LeafResult.Ok, ECreate.Execute(_processor, Bytes.Of(in secs), in info, 0, SecsPage));
        int next = 1;
        byte[] page = new byte[4096];
        foreach (PageRun run in layout.Runs)
        {
            for (ulong i = 0; i < run.PageCount; i++, next++)
            {
                run.Content.Read(i, page);
                info = new SecInfo { Flags = run.Flags };
                Assert.Equal(LeafResult.Ok, EAdd.Execute(_processor, page, in info, run.Offset + (i * 4096), SecsPage, next));
                for (int chunk = 0; chunk < 16; chunk++)
                {
                    if ((run.MeasuredChunks >> chunk & 1) != 0)
                    {
                        Assert.Equal(LeafResult.Ok, EExtend.Execute(_processor, SecsPage, next, chunk * 256));
                    }
                }
            }
        }
    }

    public Secs Secs => _processor.SecsOf(SecsPage);

    public LeafResult Initialize(in SigStruct sig, Hash256 launchKey) =>
        EInit.Execute(_processor, new LogicalProcessor { LePubKeyHash = launchKey }, Bytes.Of(in sig), SecsPage, new byte[EInitToken.Size]);

    public Span<byte> Frame(int page) => MemoryMarshal.AsBytes(_words.AsSpan(page * 512, 512));

    public void Dispose() => ERemove.Execute(_processor, SecsPage);
}
