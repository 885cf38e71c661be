using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>EREMOVE: children before their SECS, and nothing while a thread is inside.</summary>
public class ERemoveTests
{
    [Fact]
    public void An_unused_page_is_removed_already()
    {
        TestPlatform platform = new();

        Assert.Equal(LeafResult.Ok, ERemove.Execute(platform.Processor, 77));
        Assert.Equal(ExceptionVector.PF, ERemove.Execute(platform.Processor, 256).Fault.Kind);
        Assert.Equal(ExceptionVector.PF, ERemove.Execute(platform.Processor, -1).Fault.Kind);
    }

    [Fact]
    public void A_secs_goes_after_its_pages()
    {
        TestPlatform platform = new();
        Secs secs = TestPlatform.DefaultSecs();
        int secsPage = platform.Create(in secs);
        int page = platform.Add(secsPage, 0, new byte[4096], TestPlatform.RegInfo);

        Assert.Equal(LeafResult.FromError(SgxError.SGX_CHILD_PRESENT), ERemove.Execute(platform.Processor, secsPage));
        Assert.Equal(LeafResult.Ok, ERemove.Execute(platform.Processor, page));
        Assert.False(platform.Processor.Epcm.IsValid(page));
        Assert.Equal(LeafResult.Ok, ERemove.Execute(platform.Processor, secsPage));
        Assert.False(platform.Processor.Epcm.IsValid(secsPage));
        Assert.Equal(LeafResult.Ok, platform.Create(in secs, secsPage));
    }

    [Fact]
    public void A_thread_inside_keeps_every_page()
    {
        TestPlatform platform = new();
        TestEnclave enclave = TestEnclave.Initialized(platform);
        RegisterFile registers = enclave.EnterOk();

        Assert.Equal(LeafResult.FromError(SgxError.SGX_ENCLAVE_ACT), ERemove.Execute(platform.Processor, enclave.DataPage));
        Assert.Equal(LeafResult.FromError(SgxError.SGX_ENCLAVE_ACT), ERemove.Execute(platform.Processor, enclave.TcsPage));
        Assert.Equal(LeafResult.FromError(SgxError.SGX_CHILD_PRESENT), ERemove.Execute(platform.Processor, enclave.SecsPage));
        registers.Rbx = 0x1000;
        Assert.Equal(LeafResult.Ok, EExit.Execute(platform.Processor, enclave.Logical, ref registers));
        Assert.Equal(LeafResult.Ok, ERemove.Execute(platform.Processor, enclave.DataPage));
        Assert.Equal(LeafResult.Ok, ERemove.Execute(platform.Processor, enclave.TcsPage));
    }
}
