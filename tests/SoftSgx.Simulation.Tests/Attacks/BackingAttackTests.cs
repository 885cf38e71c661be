using SoftSgx.Architecture;
using SoftSgx.Kernel;

namespace SoftSgx.Simulation.Tests;

/// <summary>Whoever holds the backing store can destroy pages, and nothing else.</summary>
public sealed class BackingAttackTests : IDisposable
{
    private const ulong Size = 1 << 16;
    private const ulong Pages = 4;

    private readonly SimulatedMachine _machine = new(new SimulatedMachineOptions { EpcPages = 64 });
    private readonly List<HostileBackingFile> _files = [];
    private readonly SimulatedEnclave _enclave;
    private readonly SimulatedEnclave _other;
    private readonly byte[] _read = new byte[EpcPool.PageSize];

    public BackingAttackTests()
    {
        _machine.Epc.WrapBacking = real =>
        {
            _files.Add(new HostileBackingFile(real));
            return _files[^1];
        };
        _enclave = Build();
        _other = Build();
        EvictAll();
    }

    private HostileBackingFile File => _files[0];

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(4096 * 4)]
    [InlineData((4096 * 8) - 1)]
    public void A_changed_bit_of_a_page_is_Corrupt(int bit)
    {
        Flip(PageOffset(1), bit);
        AssertCorruptThenGood();
    }

    [Fact]
    public void Every_changed_bit_of_a_PCMD_is_Corrupt()
    {
        for (int bit = 0; bit < Pcmd.Size * 8; bit++)
        {
            bool isEnclaveId = bit is >= 64 * 8 and < 72 * 8; // which ELDU does not look at: it goes by the SECS
            Flip(PcmdOffset(1), bit);
            if (!isEnclaveId)
            {
                Assert.True(_enclave.AddressSpace.Read(1, _read) == FaultOutcome.Corrupt, $"bit {bit}");
            }
        }

        AssertOthersGoOn();
        File.OnRead = static (_, bytes) => bytes;
        AssertContents(_enclave, 1, 1);
    }

    [Fact]
    public void An_older_version_is_Corrupt()
    {
        Write(1, 100);
        EvictAll();
        Assert.Equal(2, File.HistoryOf(PageOffset(1)).Count);
        File.OnRead = (at, bytes) => at == PageOffset(1) || at == PcmdOffset(1) ? File.HistoryOf(at)[0] : bytes;
        Assert.Equal(FaultOutcome.Corrupt, _enclave.AddressSpace.Read(1, _read));
        AssertOthersGoOn();
        File.OnRead = static (_, bytes) => bytes;
        AssertContents(_enclave, 1, 100);
    }

    [Fact]
    public void A_page_that_was_loaded_meanwhile_is_Corrupt()
    {
        // The same contents, evicted twice: even that is told apart.
        AssertContents(_enclave, 1, 1);
        EvictAll();
        File.OnRead = (at, bytes) => at == PageOffset(1) || at == PcmdOffset(1) ? File.HistoryOf(at)[0] : bytes;
        Assert.Equal(FaultOutcome.Corrupt, _enclave.AddressSpace.Read(1, _read));
    }

    [Fact]
    public void Another_page_of_the_enclave_is_Corrupt()
    {
        File.OnRead = (at, bytes) =>
            at == PageOffset(1) ? File.HistoryOf(PageOffset(2))[^1]
            : at == PcmdOffset(1) ? File.HistoryOf(PcmdOffset(2))[^1]
            : bytes;
        AssertCorruptThenGood();
    }

    [Fact]
    public void The_same_page_of_another_enclave_is_Corrupt()
    {
        HostileBackingFile other = _files[1];
        File.OnRead = (at, bytes) => at == PageOffset(1) || at == PcmdOffset(1) ? other.HistoryOf(at)[^1] : bytes;
        AssertCorruptThenGood();
    }

    [Fact]
    public void An_evicted_SECS_in_place_of_a_page_is_Corrupt()
    {
        ulong secs = Size;
        ulong secsPcmd = PcmdOffset(Size / EpcPool.PageSize);
        Assert.NotEmpty(File.HistoryOf(secs));
        File.OnRead = (at, bytes) =>
            at == PageOffset(1) ? File.HistoryOf(secs)[^1] : at == PcmdOffset(1) ? File.HistoryOf(secsPcmd)[^1] : bytes;
        AssertCorruptThenGood();
    }

    [Fact]
    public void A_forged_SECS_is_Corrupt()
    {
        HostileBackingFile other = _files[1];
        File.OnRead = (at, bytes) => at == Size || at == PcmdOffset(Size / EpcPool.PageSize) ? other.HistoryOf(at)[^1] : bytes;
        AssertCorruptThenGood();
    }

    [Fact]
    public void Zeros_are_Corrupt()
    {
        File.OnRead = static (_, bytes) => new byte[bytes.Length];
        AssertCorruptThenGood();
    }

    [Fact]
    public void Without_contents_an_older_version_and_another_page_are_Corrupt_too()
    {
        List<HostileBackingFile> files = [];
        using SimulatedMachine machine = new(new SimulatedMachineOptions { EpcPages = 64, WithContents = false });
        machine.Epc.WrapBacking = real =>
        {
            files.Add(new HostileBackingFile(real));
            return files[^1];
        };
        SimulatedEnclave enclave = machine.CreateEnclave(Size);
        Assert.Equal(Errno.None, enclave.AddPages(0, Pages));
        for (int round = 0; round < 2; round++)
        {
            while (machine.Kernel.Reclaimer.ReclaimBatch())
            {
            }

            Assert.Equal(FaultOutcome.Present, round == 0 ? enclave.AddressSpace.TouchAfterFault(1) : FaultOutcome.Present);
        }

        Assert.Equal(2, files[0].HistoryOf(PcmdOffset(1)).Count);
        files[0].OnRead = (at, bytes) => at == PcmdOffset(1) ? files[0].HistoryOf(at)[0] : bytes;
        Assert.Equal(FaultOutcome.Corrupt, enclave.AddressSpace.TouchAfterFault(1));
        files[0].OnRead = (at, bytes) => at == PcmdOffset(1) ? files[0].HistoryOf(PcmdOffset(2))[0] : bytes;
        Assert.Equal(FaultOutcome.Corrupt, enclave.AddressSpace.TouchAfterFault(1));
        files[0].OnRead = static (_, bytes) => bytes;
        Assert.Equal(FaultOutcome.Present, enclave.AddressSpace.TouchAfterFault(1));
        enclave.Release();
        Assert.Equal(machine.Kernel.Pool.Total, machine.Kernel.Pool.Free);
    }

    public void Dispose()
    {
        File.OnRead = static (_, bytes) => bytes;
        _enclave.Release();
        _other.Release();
        Assert.Equal(_machine.Kernel.Pool.Total, _machine.Kernel.Pool.Free);
        Assert.Equal(0, _machine.Epc.FrameCount);
        Assert.Equal(0, _machine.Epc.BackingBytes);
        _machine.Dispose();
    }

    private static ulong PageOffset(ulong page) => page * EpcPool.PageSize;

    private static ulong PcmdOffset(ulong page) => Size + EpcPool.PageSize + (page * Pcmd.Size);

    private void Flip(ulong offset, int bit) => File.OnRead = (at, bytes) =>
    {
        if (at == offset)
        {
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
        }

        return bytes;
    };

    private SimulatedEnclave Build()
    {
        SimulatedEnclave enclave = _machine.CreateEnclave(Size);
        Assert.Equal(Errno.None, enclave.AddPages(0, Pages, (page, contents) => contents.Fill((byte)page)));
        Assert.Equal(Errno.None, enclave.Initialize());
        return enclave;
    }

    private void EvictAll()
    {
        while (_machine.Kernel.Reclaimer.ReclaimBatch())
        {
        }
    }

    private void Write(ulong page, byte filling)
    {
        _read.AsSpan().Fill(filling);
        Assert.Equal(FaultOutcome.Present, _enclave.AddressSpace.Write(page, _read));
    }

    private void AssertCorruptThenGood()
    {
        for (int attempt = 0; attempt < 2; attempt++)
        {
            _read.AsSpan().Fill(0xEE);
            Assert.Equal(FaultOutcome.Corrupt, _enclave.AddressSpace.Read(1, _read));
            Assert.True(_read.AsSpan().IndexOfAnyExcept((byte)0xEE) < 0, "bytes were seen of a page that is corrupt");
        }

        AssertOthersGoOn();
        File.OnRead = static (_, bytes) => bytes;
        AssertContents(_enclave, 1, 1);
    }

    private void AssertOthersGoOn()
    {
        for (ulong page = 0; page < Pages; page++)
        {
            AssertContents(_other, page, (byte)page);
        }
    }

    private void AssertContents(SimulatedEnclave enclave, ulong page, byte filling)
    {
        Assert.Equal(FaultOutcome.Present, enclave.AddressSpace.Read(page, _read));
        Assert.True(_read.AsSpan().IndexOfAnyExcept(filling) < 0);
    }
}
