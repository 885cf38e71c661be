using System.Buffers.Binary;
using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>Asynchronous exits and ERESUME: state into the SSA, synthetic state out, and all of it back.</summary>
public class AsynchronousExitTests
{
    private const ulong Avx512 = 0xE7;

    private static readonly LeafResult s_gp = LeafResult.FromFault(Fault.GeneralProtection());
    private static readonly ProcessorConfiguration s_wide = new() { Xfrm = Avx512 | 0x200 };

    [Fact]
    public void The_host_sees_the_synthetic_state()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = Inside(enclave, 1);
        registers.Rflags = 0x202 | Rflags.Arithmetic | Rflags.RF | Rflags.DF;
        byte[] xsave = Image(2, 7);

        AsynchronousExit.Execute(enclave.Platform.Processor, enclave.Logical, ref registers, xsave, ExitEvent.Interrupt);

        Assert.Equal(
            new RegisterFile
            {
                Rax = 3,
                Rbx = TestPlatform.Base,
                Rcx = 0x40_1000,
                Rip = 0x40_1000,
                Rsp = 0x7FFE_1000,
                Rbp = 0x7FFE_2000,
                Rflags = 0x202 | Rflags.DF,
                FsBase = 0xF5_0000,
                GsBase = 0x65_0000,
            },
            registers);
        Assert.False(enclave.Logical.InEnclave);
        Assert.Equal(1u, enclave.Tcs.CSsa);
        Assert.Equal(Tcs.Inactive, enclave.Tcs.State);

        byte[] host = Image(2, 7);
        Assert.Equal(0x037F, BinaryPrimitives.ReadUInt16LittleEndian(xsave));
        Assert.True(Bytes.IsZero(xsave.AsSpan(2..24)));
        Assert.Equal(0x1F80u, BinaryPrimitives.ReadUInt32LittleEndian(xsave.AsSpan(24)));
        Assert.Equal(host[28..32], xsave[28..32]);
        Assert.True(Bytes.IsZero(xsave.AsSpan(32..416)));
        Assert.Equal(host[416..512], xsave[416..512]);
        Assert.Equal(3UL, BinaryPrimitives.ReadUInt64LittleEndian(xsave.AsSpan(512)));
        Assert.True(Bytes.IsZero(xsave.AsSpan(576..832)));
        Assert.Equal(host[832..], xsave[832..]);
    }

    [Fact]
    public void The_frame_holds_registers_and_xsave_image()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = Inside(enclave, 1);
        registers.Rflags |= Rflags.TF | Rflags.CF;
        RegisterFile before = registers;
        byte[] xsave = Image(2, 7);
        byte[] saved = [.. xsave];

        AsynchronousExit.Execute(enclave.Platform.Processor, enclave.Logical, ref registers, xsave, ExitEvent.Interrupt);

        Span<byte> frame = enclave.Platform.Frames.Frame(enclave.SsaPages[0]);
        GprSgx gpr = MemoryMarshal.Read<GprSgx>(frame[(4096 - 184)..]);
        Assert.Equal(before.Rax, gpr.Rax);
        Assert.Equal(before.Rcx, gpr.Rcx);
        Assert.Equal(before.Rsp, gpr.Rsp);
        Assert.Equal(before.R8, gpr.R8);
        Assert.Equal(before.R15, gpr.R15);
        Assert.Equal(before.Rip, gpr.Rip);
        Assert.Equal(before.Rflags & ~Rflags.TF, gpr.Rflags);
        Assert.Equal(before.FsBase, gpr.FsBase);
        Assert.Equal(before.GsBase, gpr.GsBase);
        Assert.Equal(0u, gpr.ExitInfo.Value);

        Assert.Equal(saved[..416], frame[..416].ToArray());
        Assert.True(Bytes.IsZero(frame[416..512]));
        Assert.Equal(7UL, BinaryPrimitives.ReadUInt64LittleEndian(frame[512..]));
        Assert.True(Bytes.IsZero(frame[520..536]));
        Assert.Equal(saved[576..832], frame[576..832].ToArray());
    }

    [Fact]
    public void Xstate_bv_is_masked_by_xfrm_and_absent_components_are_initial()
    {
        TestPlatform platform = new(s_wide);
        TestEnclave enclave = TestEnclave.Initialized(platform, new EnclaveOptions { Xfrm = 7 });
        RegisterFile registers = Inside(enclave, 1);
        byte[] xsave = Image(2, 0x2E5);

        AsynchronousExit.Execute(platform.Processor, enclave.Logical, ref registers, xsave, ExitEvent.Interrupt);

        Span<byte> frame = platform.Frames.Frame(enclave.SsaPages[0]);
        Assert.Equal(5UL, BinaryPrimitives.ReadUInt64LittleEndian(frame[512..]));
        Assert.True(Bytes.IsZero(frame[160..416]));

        // Components outside XFRM are not the enclave's: neither in its frame nor changed for the host.
        Assert.True(Bytes.IsZero(frame[832..3000]));
        Assert.Equal(0x2E3UL, BinaryPrimitives.ReadUInt64LittleEndian(xsave.AsSpan(512)));
        Assert.Equal(Image(2, 0)[832..], xsave[832..]);
    }

    [Theory]
    [InlineData(7UL, 1u)]
    [InlineData(3UL, 1u)]
    [InlineData(Avx512, 2u)]
    [InlineData(Avx512 | 0x200, 4u)]
    public void Resuming_restores_everything(ulong xfrm, uint ssaFrameSize)
    {
        TestPlatform platform = new(s_wide);
        TestEnclave enclave = TestEnclave.Initialized(platform, new EnclaveOptions { Xfrm = xfrm, SsaFrameSize = ssaFrameSize });
        RegisterFile registers = Inside(enclave, 3);
        RegisterFile before = registers;
        byte[] xsave = Image(4, xfrm);
        byte[] saved = [.. xsave];
        AsynchronousExit.Execute(platform.Processor, enclave.Logical, ref registers, xsave, ExitEvent.Interrupt);

        // The host does something of its own in between, and comes back from another place.
        byte[] host = Image(9, 0x2E7);
        byte[] now = [.. host];
        registers.Rcx = 0x77_0000;
        registers.Rsp = 0x7AAA_0000;
        registers.Rbp = 0x7BBB_0000;
        registers.FsBase = 0xFFF_0000;
        registers.GsBase = 0x666_0000;
        Assert.Equal(LeafResult.Ok, Enclu.Execute(platform.Processor, enclave.Logical, ref registers, enclave.Space, now));

        Assert.Equal(before, registers);
        Assert.True(enclave.Logical.InEnclave);
        Assert.Equal(0u, enclave.Tcs.CSsa);
        Assert.Equal(0x77_0000UL, enclave.Logical.Aep);
        AssertMerged(xfrm, saved, host, now);

        // The next exit goes to the host of the resumption.
        AsynchronousExit.Execute(platform.Processor, enclave.Logical, ref registers, now, ExitEvent.Interrupt);
        Assert.Equal(0x77_0000UL, registers.Rip);
        Assert.Equal(0x7AAA_0000UL, registers.Rsp);
        Assert.Equal(0x7BBB_0000UL, registers.Rbp);
        Assert.Equal(0xFFF_0000UL, registers.FsBase);
    }

    [Fact]
    public void A_frame_of_many_pages_is_written_across_them()
    {
        TestPlatform platform = new(new ProcessorConfiguration { Xfrm = 0x6_02E7 });
        TestEnclave enclave = TestEnclave.Initialized(platform, new EnclaveOptions { Xfrm = 0x6_0007, SsaFrameSize = 4 });
        RegisterFile registers = Inside(enclave, 3);
        Assert.Equal(3, enclave.Logical.XsavePages.Length);
        Assert.Equal(enclave.SsaPages[..3], enclave.Logical.XsavePages.ToArray());
        Assert.Equal(enclave.SsaPages[3], enclave.Logical.GprPage);
        byte[] xsave = Image(4, 0x6_0007);
        byte[] saved = [.. xsave];

        AsynchronousExit.Execute(platform.Processor, enclave.Logical, ref registers, xsave, ExitEvent.Interrupt);

        Assert.Equal(saved[2816..4096], platform.Frames.Frame(enclave.SsaPages[0])[2816..].ToArray());
        Assert.Equal(saved[4096..8192], platform.Frames.Frame(enclave.SsaPages[1]).ToArray());
        Assert.Equal(saved[8192..11008], platform.Frames.Frame(enclave.SsaPages[2])[..(11008 - 8192)].ToArray());
        byte[] now = Image(9, 0);
        Assert.Equal(LeafResult.Ok, Enclu.Execute(platform.Processor, enclave.Logical, ref registers, enclave.Space, now));
        Assert.Equal(saved[2752..11008], now[2752..11008]);
    }

    [Fact]
    public void The_hosts_stack_comes_from_enclave_memory()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = Inside(enclave, 1);
        ref GprSgx gpr = ref MemoryMarshal.AsRef<GprSgx>(enclave.Platform.Frames.Frame(enclave.SsaPages[0])[(4096 - 184)..]);
        gpr.URsp = 0x1234_5678;
        gpr.URbp = 0x8765_4321;

        AsynchronousExit.Execute(enclave.Platform.Processor, enclave.Logical, ref registers, Image(1, 7), ExitEvent.Interrupt);

        Assert.Equal(0x1234_5678UL, registers.Rsp);
        Assert.Equal(0x8765_4321UL, registers.Rbp);
    }

    [Theory]
    [InlineData(ExceptionVector.DE, false, 0x8000_0300u)]
    [InlineData(ExceptionVector.DB, false, 0x8000_0301u)]
    [InlineData(ExceptionVector.BP, true, 0x8000_0603u)]
    [InlineData(ExceptionVector.BR, false, 0x8000_0305u)]
    [InlineData(ExceptionVector.UD, false, 0x8000_0306u)]
    [InlineData(ExceptionVector.MF, false, 0x8000_0310u)]
    [InlineData(ExceptionVector.AC, false, 0x8000_0311u)]
    [InlineData(ExceptionVector.XM, false, 0x8000_0313u)]
    [InlineData(ExceptionVector.GP, false, 0u)]
    [InlineData(ExceptionVector.PF, false, 0u)]
    [InlineData(ExceptionVector.NM, false, 0u)]
    [InlineData(ExceptionVector.SS, false, 0u)]
    public void Exitinfo_tells_the_reportable_exceptions(ExceptionVector vector, bool software, uint expected)
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = Inside(enclave, 1);

        // Something stale of an earlier exit must not survive.
        ref GprSgx gpr = ref MemoryMarshal.AsRef<GprSgx>(enclave.Platform.Frames.Frame(enclave.SsaPages[0])[(4096 - 184)..]);
        gpr.ExitInfo = new ExitInfo(0x8000_0306);
        AsynchronousExit.Execute(
            enclave.Platform.Processor, enclave.Logical, ref registers, Image(1, 7), new ExitEvent(true, (byte)vector, software, 7, 0x9999));

        Assert.Equal(expected, gpr.ExitInfo.Value);
        Assert.True(Bytes.IsZero(enclave.Platform.Frames.Frame(enclave.SsaPages[0])[(4096 - 200)..(4096 - 184)]));
    }

    [Theory]
    [InlineData(ExceptionVector.PF, 0x8000_030Eu, 0x7000_9123UL)]
    [InlineData(ExceptionVector.GP, 0x8000_030Du, 0UL)]
    public void Exinfo_tells_faults_when_it_is_selected(ExceptionVector vector, uint exitInfo, ulong address)
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform(), new EnclaveOptions { Misc = MiscSelect.EXINFO });
        RegisterFile registers = Inside(enclave, 1);
        AsynchronousExit.Execute(
            enclave.Platform.Processor, enclave.Logical, ref registers, Image(1, 7), new ExitEvent(true, (byte)vector, false, 0x8007, 0x7000_9123));

        Span<byte> frame = enclave.Platform.Frames.Frame(enclave.SsaPages[0]);
        Assert.Equal(exitInfo, MemoryMarshal.Read<GprSgx>(frame[(4096 - 184)..]).ExitInfo.Value);
        ExInfo info = MemoryMarshal.Read<ExInfo>(frame[(4096 - 200)..]);
        Assert.Equal(address, info.MAddr);
        Assert.Equal(0x8007u, info.ErrCd);
    }

    [Fact]
    public void Frames_stack_up_and_run_out()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform(), new EnclaveOptions { NSsa = 2 });
        RegisterFile registers = Inside(enclave, 1);
        RegisterFile first = registers;
        byte[] xsave = Image(1, 7);
        AsynchronousExit.Execute(enclave.Platform.Processor, enclave.Logical, ref registers, xsave, ExitEvent.Interrupt);

        // The exception handler of the enclave: entered at frame 1.
        RegisterFile handler = TestEnclave.HostRegisters();
        Assert.Equal(LeafResult.Ok, enclave.Enter(ref handler));
        Assert.Equal(1UL, handler.Rax);
        AsynchronousExit.Execute(enclave.Platform.Processor, enclave.Logical, ref handler, xsave, ExitEvent.Interrupt);
        Assert.Equal(2u, enclave.Tcs.CSsa);

        RegisterFile third = TestEnclave.HostRegisters();
        Assert.Equal(s_gp, enclave.Enter(ref third));

        Assert.Equal(LeafResult.Ok, Enclu.Execute(enclave.Platform.Processor, enclave.Logical, ref handler, enclave.Space, xsave));
        Assert.Equal(TestPlatform.Base + TestEnclave.Entry, handler.Rip);
        KeyHelper.Leave(enclave, ref handler);
        Assert.Equal(LeafResult.Ok, Enclu.Execute(enclave.Platform.Processor, enclave.Logical, ref registers, enclave.Space, xsave));
        Assert.Equal(first, registers);
        Assert.Equal(0u, enclave.Tcs.CSsa);
    }

    [Fact]
    public void Nothing_saved_nothing_to_resume()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = TestEnclave.HostRegisters();
        registers.Rax = (ulong)EncluLeaf.ERESUME;

        Assert.Equal(s_gp, Enclu.Execute(enclave.Platform.Processor, enclave.Logical, ref registers, enclave.Space, Image(1, 7)));
    }

    [Fact]
    public void A_frame_that_another_thread_has_resumed_meanwhile_is_not_resumed_again()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = Inside(enclave, 1);
        AsynchronousExit.Execute(enclave.Platform.Processor, enclave.Logical, ref registers, Image(1, 7), ExitEvent.Interrupt);
        RegisterFile before = registers;
        byte[] host = Image(9, 7);
        byte[] now = [.. host];
        enclave.Space.Interrupt(TestPlatform.Base + TestEnclave.SsaOffset, () =>
        {
            LogicalProcessor second = new();
            RegisterFile other = before;
            Assert.Equal(LeafResult.Ok, EResume.Execute(enclave.Platform.Processor, second, ref other, enclave.Space, Image(2, 7)));
            other.Rbx = 0;
            Assert.Equal(LeafResult.Ok, EExit.Execute(enclave.Platform.Processor, second, ref other));
        });

        Assert.Equal(s_gp, EResume.Execute(enclave.Platform.Processor, enclave.Logical, ref registers, enclave.Space, now));
        Assert.Equal(before, registers);
        Assert.Equal(host, now);
        Assert.False(enclave.Logical.InEnclave);
        Assert.Equal(0UL, enclave.EnterOk().Rax);
    }

    [Theory]
    [InlineData("component outside xfrm")]
    [InlineData("supervisor component")]
    [InlineData("compacted")]
    [InlineData("xcomp_bv")]
    [InlineData("header byte 23")]
    [InlineData("mxcsr")]
    [InlineData("rip")]
    [InlineData("fs")]
    [InlineData("gs")]
    public void A_hostile_frame_is_a_general_protection_fault(string what)
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = Inside(enclave, 1);
        AsynchronousExit.Execute(enclave.Platform.Processor, enclave.Logical, ref registers, Image(1, 7), ExitEvent.Interrupt);
        byte[] good = enclave.Platform.Frames.Frame(enclave.SsaPages[0]).ToArray();
        Span<byte> frame = enclave.Platform.Frames.Frame(enclave.SsaPages[0]);
        switch (what)
        {
            case "component outside xfrm": frame[512] = 0x0F; break;
            case "supervisor component": frame[513] = 0x08; break;
            case "compacted": frame[527] = 0x80; break;
            case "xcomp_bv": frame[520] = 1; break;
            case "header byte 23": frame[535] = 1; break;
            case "mxcsr": frame[26] = 1; break;
            case "rip": frame[4096 - 184 + 136 + 7] = 0x10; break;
            case "fs": frame[4096 - 184 + 168 + 7] = 0x10; break;
            case "gs": frame[4096 - 184 + 176 + 7] = 0x10; break;
        }

        byte[] host = Image(9, 7);
        byte[] now = [.. host];
        RegisterFile before = registers;
        Assert.Equal(s_gp, Enclu.Execute(enclave.Platform.Processor, enclave.Logical, ref registers, enclave.Space, now));
        Assert.Equal(before, registers);
        Assert.Equal(host, now);
        Assert.False(enclave.Logical.InEnclave);
        Assert.Equal(1u, enclave.Tcs.CSsa);

        good.CopyTo(frame);
        Assert.Equal(LeafResult.Ok, Enclu.Execute(enclave.Platform.Processor, enclave.Logical, ref registers, enclave.Space, now));
    }

    [Fact]
    public void Reserved_flags_of_a_frame_stay_the_hosts()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = Inside(enclave, 1);
        byte[] xsave = Image(1, 7);
        AsynchronousExit.Execute(enclave.Platform.Processor, enclave.Logical, ref registers, xsave, ExitEvent.Interrupt);
        MemoryMarshal.AsRef<GprSgx>(enclave.Platform.Frames.Frame(enclave.SsaPages[0])[(4096 - 184)..]).Rflags = ulong.MaxValue;

        Assert.Equal(LeafResult.Ok, Enclu.Execute(enclave.Platform.Processor, enclave.Logical, ref registers, enclave.Space, xsave));
        Assert.Equal(0x202UL | Rflags.Arithmetic | Rflags.DF | Rflags.NT | Rflags.RF | Rflags.AC | Rflags.ID, registers.Rflags);
    }

    [Fact]
    public void An_abandoned_thread_frees_its_tcs_and_uses_a_frame_up()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        Inside(enclave, 1);

        AsynchronousExit.Abandon(enclave.Platform.Processor, enclave.Logical);
        AsynchronousExit.Abandon(enclave.Platform.Processor, enclave.Logical);

        Assert.False(enclave.Logical.InEnclave);
        Assert.Equal(Tcs.Inactive, enclave.Tcs.State);
        Assert.Equal(1u, enclave.Tcs.CSsa);
        Assert.Equal(LeafResult.Ok, ERemove.Execute(enclave.Platform.Processor, enclave.DataPage));
    }

    [Fact]
    public void Trap_flag_of_the_host_survives_an_exit()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = TestEnclave.HostRegisters();
        registers.Rflags |= Rflags.TF;
        Assert.Equal(LeafResult.Ok, enclave.Enter(ref registers));
        Assert.Equal(0UL, registers.Rflags & Rflags.TF);

        AsynchronousExit.Execute(enclave.Platform.Processor, enclave.Logical, ref registers, Image(1, 7), ExitEvent.Interrupt);

        Assert.Equal(Rflags.TF, registers.Rflags & Rflags.TF);
    }

    [Fact]
    public void Interruptions_allocate_nothing()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = Inside(enclave, 1);
        byte[] xsave = Image(1, 7);
        Assert.InRange(SoftSgx.Tests.Allocations.Of(() => Interrupt(1000, ref registers)), 0, 999);

        void Interrupt(int times, ref RegisterFile state)
        {
            for (int i = 0; i < times; i++)
            {
                AsynchronousExit.Execute(enclave.Platform.Processor, enclave.Logical, ref state, xsave, ExitEvent.Interrupt);
                EResume.Execute(enclave.Platform.Processor, enclave.Logical, ref state, enclave.Space, xsave);
            }
        }
    }

    /// <summary>Enters and gives every register a value of its own.</summary>
    private static RegisterFile Inside(TestEnclave enclave, ulong seed)
    {
        RegisterFile registers = enclave.EnterOk();
        Span<ulong> all = MemoryMarshal.Cast<RegisterFile, ulong>(new Span<RegisterFile>(ref registers));
        for (int i = 0; i < all.Length; i++)
        {
            all[i] = (seed << 32) + ((ulong)i * 0x1111);
        }

        registers.Rflags = 0x202 | Rflags.CF | Rflags.DF;
        return registers;
    }

    /// <summary>An XSAVE image of all components full of random bytes, with a legal header and MXCSR.</summary>
    private static byte[] Image(int seed, ulong xstateBv)
    {
        byte[] image = new byte[XsaveLayout.Intel.MaximumSize];
        new Random(seed).NextBytes(image);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(24), 0x1FA0);
        image.AsSpan(512, 64).Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(512), xstateBv);
        return image;
    }

    private static void AssertMerged(ulong xfrm, byte[] saved, byte[] host, byte[] now)
    {
        Assert.Equal(saved[..28], now[..28]);
        Assert.Equal(host[28..32], now[28..32]);
        Assert.Equal(saved[32..416], now[32..416]);
        Assert.Equal(host[416..512], now[416..512]);
        Assert.Equal(0x2E7UL, BinaryPrimitives.ReadUInt64LittleEndian(now.AsSpan(512)));
        Assert.Equal(host[520..576], now[520..576]);
        for (int index = 2; index < 19; index++)
        {
            XsaveComponent component = XsaveLayout.Intel[index];
            byte[] source = (xfrm & (1UL << index)) != 0 ? saved : host;
            Range range = component.Offset..(component.Offset + component.Size);
            Assert.Equal(source[range], now[range]);
        }
    }
}
