using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>Whatever a program and its enclave put into registers and memory: a result, never an exception.</summary>
public class HostileInputTests
{
    private static readonly ulong[] s_addresses =
    [
        0, 1, TestPlatform.Base, TestPlatform.Base + 0x1000, TestPlatform.Base + 0x1200, TestPlatform.Base + 0x1F80,
        TestPlatform.Base + 0x2000, TestPlatform.Base + 0x3000, TestPlatform.Base + 0x4000, TestPlatform.Base + TestPlatform.Size,
        0x7FFF_FFFF_F000, 0x8000_0000_0000, ulong.MaxValue, ulong.MaxValue - 0xFFF,
    ];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Enclu_never_throws(int seed)
    {
        Random random = new(seed);
        TestPlatform platform = new(new ProcessorConfiguration { Sgx2 = true, AexNotify = true, EDecCssa = true });
        TestEnclave enclave = TestEnclave.Initialized(platform, new EnclaveOptions
        {
            Misc = MiscSelect.EXINFO,
            Flags = TestPlatform.Flags | AttributeFlags.KSS | AttributeFlags.PROVISIONKEY | AttributeFlags.AEXNOTIFY,
            ConfigureTcs = tcs => tcs.Value.Flags = TcsFlags.AEXNOTIFY,
        });
        byte[] xsave = new byte[XsaveLayout.Intel.MaximumSize];
        HashSet<LeafStatus> seen = [];
        for (int i = 0; i < 30_000; i++)
        {
            Scribble(random, platform.Frames.Frame(enclave.DataPage));
            Scribble(random, platform.Frames.Frame(enclave.SsaPages[random.Next(2)]));
            RegisterFile registers = Registers(random);
            bool wasInside = enclave.Logical.InEnclave;
            LeafResult result = Enclu.Execute(platform.Processor, enclave.Logical, ref registers, enclave.Space, xsave);
            seen.Add(result.Status);
            if (result.Status == LeafStatus.Fault)
            {
                Assert.Equal(wasInside, enclave.Logical.InEnclave);
            }

            if (enclave.Logical.InEnclave && random.Next(3) == 0)
            {
                ExitEvent e = new(random.Next(2) == 0, (byte)random.Next(256), false, (uint)random.Next(), Pick(random));
                AsynchronousExit.Execute(platform.Processor, enclave.Logical, ref registers, xsave, in e);
            }

            Assert.InRange(enclave.Tcs.CSsa, 0u, 2u);
        }

        Assert.Equal(3, seen.Count);
    }

    [Fact]
    public void Encls_never_throws()
    {
        Random random = new(4);
        TestPlatform platform = new(new ProcessorConfiguration { Sgx2 = true, Oversub = true, EUpdateSvn = true }, pages: 8);
        byte[] page = new byte[4096];
        byte[] sig = new byte[SigStruct.Size];
        byte[] token = new byte[EInitToken.Size];
        LogicalProcessor logical = new();
        int successes = 0;
        for (int i = 0; i < 30_000; i++)
        {
            Secs secs = TestPlatform.DefaultSecs();
            Bytes.Of(in secs).CopyTo(page);
            Scribble(random, random.Next(2) == 0 ? page : sig);
            random.NextBytes(token);
            SecInfo info = SecInfo.For((PageType)random.Next(5), (SecInfoFlags)random.Next(9));
            int one = random.Next(-1, 10);
            int other = random.Next(-1, 10);
            ulong address = random.Next(3) == 0 ? 0 : Pick(random);
            int third = random.Next(-1, 10);
            int offset = random.Next(-256, 5000) & ~3;
            Pcmd pcmd = default;
            RdInfo rdInfo = default;
            Scribble(random, Bytes.Writable(ref pcmd));
            LeafResult result = random.Next(20) switch
            {
                0 => ECreate.Execute(platform.Processor, page, in info, address, one),
                1 => EAdd.Execute(platform.Processor, page, in info, address, one, other),
                2 => EExtend.Execute(platform.Processor, one, other, random.Next(-256, 5000) & ~0xF),
                3 => EInit.Execute(platform.Processor, logical, sig, one, token),
                4 => EPa.Execute(platform.Processor, (PageType)random.Next(2, 5), one),
                5 => EBlock.Execute(platform.Processor, one),
                6 => ETrack.Execute(platform.Processor, one),
                7 => EWb.Execute(platform.Processor, page, ref pcmd, ref address, one, other, offset),
                8 => ELdb.Execute(platform.Processor, page, in pcmd, address, one, other, third, offset),
                9 => ELdu.Execute(platform.Processor, page, in pcmd, address, one, other, third, offset),
                10 => EDbgRd.Execute(platform.Processor, one, offset, out _),
                11 => EDbgWr.Execute(platform.Processor, address, one, offset),
                12 => EAug.Execute(platform.Processor, null, address, one, other),
                13 => EModPr.Execute(platform.Processor, in info, one),
                14 => EModT.Execute(platform.Processor, in info, one),
                15 => ERdInfo.Execute(platform.Processor, ref rdInfo, one),
                16 => ETrackC.Execute(platform.Processor, one),
                17 => ELduc.Execute(platform.Processor, page, in pcmd, address, one, other, third, offset),
                18 => EUpdateSvn.Execute(platform.Processor),
                _ => ERemove.Execute(platform.Processor, one),
            };
            successes += result.IsSuccess ? 1 : 0;
        }

        Assert.InRange(successes, 100, 29_000);
        for (int round = 0; round < 2; round++)
        {
            for (int i = 0; i < 8; i++)
            {
                ERemove.Execute(platform.Processor, i);
            }
        }

        Assert.DoesNotContain(Enumerable.Range(0, 8), platform.Processor.Epcm.IsValid);
    }

    private static RegisterFile Registers(Random random)
    {
        RegisterFile registers = default;
        foreach (ref ulong register in MemoryMarshal.Cast<RegisterFile, ulong>(new Span<RegisterFile>(ref registers)))
        {
            register = Pick(random);
        }

        registers.Rax = (ulong)random.Next(12);
        if (random.Next(2) == 0)
        {
            registers.Rbx = registers.Rax is 2 or 3 ? TestPlatform.Base : TestPlatform.Base + 0x1000;
            registers.Rcx = TestPlatform.Base + 0x1200;
            registers.Rdx = TestPlatform.Base + 0x1400;
        }

        return registers;
    }

    private static ulong Pick(Random random) =>
        random.Next(8) == 0 ? (ulong)random.NextInt64(long.MinValue, long.MaxValue) : s_addresses[random.Next(s_addresses.Length)];

    /// <summary>Sometimes zeros, sometimes noise, mostly a few bytes changed.</summary>
    private static void Scribble(Random random, Span<byte> bytes)
    {
        switch (random.Next(10))
        {
            case 0:
                random.NextBytes(bytes);
                break;
            case < 5:
                bytes.Clear();
                break;
            default:
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                break;
        }
    }
}
