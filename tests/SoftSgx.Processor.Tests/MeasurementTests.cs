using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>MRENCLAVE against SHA-256 over the records that the manual lays down.</summary>
public class MeasurementTests
{
    [Fact]
    public void Mrenclave_is_the_hash_of_the_documented_records()
    {
        TestPlatform platform = new();
        TestEnclave enclave = TestEnclave.Initialized(platform);

        Assert.Equal(enclave.Log.Digest(), platform.Processor.SecsOf(enclave.SecsPage).MrEnclave);
    }

    [Fact]
    public void A_large_enclave_with_holes_and_unmeasured_chunks_is_measured_in_order()
    {
        TestPlatform platform = new();
        LogicalProcessor logical = new() { LePubKeyHash = TestSigner.First.MrSigner };
        Secs secs = TestPlatform.DefaultSecs();
        int secsPage = platform.Create(in secs);
        MeasurementLog log = new MeasurementLog().Create(1, TestPlatform.Size);
        Random random = new(1);
        byte[] contents = new byte[4096];
        for (ulong i = 0; i < 40; i++)
        {
            random.NextBytes(contents);
            ulong offset = i * 0x2000;
            SecInfo info = SecInfo.For(PageType.PT_REG, i % 3 == 0 ? SecInfoFlags.R | SecInfoFlags.X : SecInfoFlags.R);
            int page = platform.Add(secsPage, offset, contents, info);
            log.Add(offset, (ulong)info.Flags);

            // Every other chunk only, last first: order and choice are the builder's.
            for (int chunk = 14; chunk >= 0; chunk -= 2)
            {
                Assert.Equal(LeafResult.Ok, EExtend.Execute(platform.Processor, secsPage, page, chunk * 256));
                log.Extend(offset + ((ulong)chunk * 256), contents.AsSpan(chunk * 256, 256));
            }
        }

        SigStruct sig = TestSigner.Template(log.Digest(), secs.Attributes);
        TestSigner.First.Sign(ref sig);
        Assert.Equal(LeafResult.Ok, platform.Init(logical, secsPage, in sig));
    }

    [Fact]
    public void A_tcs_is_measured_without_permissions_and_without_debug_opt_in()
    {
        TestPlatform platform = new();
        LogicalProcessor logical = new() { LePubKeyHash = TestSigner.First.MrSigner };
        Secs secs = TestPlatform.DefaultSecs();
        int secsPage = platform.Create(in secs);
        Tcs given = new() { Flags = TcsFlags.DBGOPTIN, CSsa = 9, NSsa = 2, Aep = 77, State = 1 };
        int page = platform.Add(secsPage, 0, Bytes.Of(in given), SecInfo.For(PageType.PT_TCS, SecInfoFlags.RWX));
        platform.ExtendAll(secsPage, page);

        Tcs kept = new() { NSsa = 2 };
        SigStruct sig = TestSigner.Template(
            new MeasurementLog().Create(1, TestPlatform.Size).Add(0, 0x100).Extend(0, Bytes.Of(in kept)).Digest(), secs.Attributes);
        TestSigner.First.Sign(ref sig);
        Assert.Equal(LeafResult.Ok, platform.Init(logical, secsPage, in sig));
        Assert.Equal(SecInfoFlags.None, platform.Processor.Epcm.Permissions(page));
    }

    [Theory]
    [InlineData("fill")]
    [InlineData("ssa")]
    public void Any_difference_is_another_measurement(string what)
    {
        TestPlatform platform = new();
        TestEnclave one = new(platform);
        TestEnclave other = new(platform, what == "fill" ? new EnclaveOptions { Fill = 0x12 } : new EnclaveOptions { SsaFrameSize = 2, NSsa = 1 });
        SigStruct sig = one.Signed();

        Assert.Equal(LeafResult.FromError(SgxError.SGX_INVALID_MEASUREMENT), platform.Init(other.Logical, other.SecsPage, in sig));
        Assert.Equal(LeafResult.Ok, platform.Init(one.Logical, one.SecsPage, in sig));
    }
}
