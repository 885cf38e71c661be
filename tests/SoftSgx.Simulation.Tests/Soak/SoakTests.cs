using System.Runtime.InteropServices;
using SoftSgx.Kernel;
using Xunit.Abstractions;

namespace SoftSgx.Simulation.Tests;

/// <summary>Many pages in and out, every byte checked, nothing left at the end. Long with SOFTSGX_SOAK=1 (<c>./test --soak</c>).</summary>
public class SoakTests(ITestOutputHelper output)
{
    private const ulong EnclavePages = 512;
    private const int Enclaves = 2;

    private static readonly bool s_long = Environment.GetEnvironmentVariable("SOFTSGX_SOAK") == "1";

    [Theory]
    [InlineData(ReplacementPolicyKind.Lru)]
    [InlineData(ReplacementPolicyKind.Fifo)]
    [InlineData(ReplacementPolicyKind.TwoQueues)]
    public void Cycles_lose_no_byte(ReplacementPolicyKind policy)
    {
        // Ten million of them in all.
        long cycles = s_long ? 10_000_000 / 3 + 1 : 20_000;
        using SimulatedMachine machine = new(new SimulatedMachineOptions
        {
            EpcPages = 256,
            Reclaim = new ReclaimSettings { Policy = policy },
        });
        Subject[] subjects = [.. Enumerable.Range(0, Enclaves).Select(number => new Subject(machine, number))];
        SplitMix64 random = new((ulong)policy);
        long accesses = 0;
        while (machine.Kernel.Counters.Loads < cycles)
        {
            for (int i = 0; i < 1000; i++, accesses++)
            {
                subjects[random.Below(subjects.Length)].Access(random.Below(EnclavePages), random.Chance(0.3), which: random.Below(2));
                machine.Balance();
            }
        }

        PagingCounters counters = machine.Kernel.Counters;
        output.WriteLine($"{policy}: {counters.Loads} loads, {counters.Evictions} evictions, {accesses} accesses checked");
        End(machine, subjects);
    }

    [Fact]
    public void Threads_that_page_at_the_same_time_lose_no_byte()
    {
        int rounds = s_long ? 300_000 : 4_000;
        using SimulatedMachine machine = new(new SimulatedMachineOptions { EpcPages = 192, Reclaimer = ReclaimerMode.Thread });
        Subject[] subjects = [.. Enumerable.Range(0, Enclaves).Select(number => new Subject(machine, number))];
        const int Threads = 4;
        Parallel.For(0, Threads + 2, new ParallelOptions { MaxDegreeOfParallelism = Threads + 2 }, thread =>
        {
            SplitMix64 random = new((ulong)thread);
            for (int round = 0; round < rounds; round++)
            {
                if (thread < Threads)
                {
                    // Each has pages of its own, so that it knows what they contain; everything else is shared.
                    ulong page = (random.Below(EnclavePages / Threads) * Threads) + (ulong)thread;
                    subjects[random.Below(subjects.Length)].Access(page, random.Chance(0.3), which: random.Below(2));
                }
                else if (thread == Threads)
                {
                    subjects[random.Below(subjects.Length)].ForkAndUnmap(random.Below(EnclavePages));
                }
                else if (round % 8 == 0)
                {
                    BuildAndRelease(machine, random.Chance(0.5));
                }
            }
        });
        PagingCounters counters = machine.Kernel.Counters;
        output.WriteLine($"{counters.Loads} loads, {counters.Evictions} evictions, {counters.Faults} faults");
        Assert.True(counters.Evictions > rounds);
        End(machine, subjects);
    }

    private static void BuildAndRelease(SimulatedMachine machine, bool initialize)
    {
        SimulatedEnclave enclave = machine.CreateEnclave(1 << 20);
        Assert.Equal(Errno.None, enclave.AddPages(0, 20, (page, contents) => contents.Fill((byte)page)));
        if (initialize)
        {
            Assert.Equal(Errno.None, enclave.Initialize());
        }

        byte[] read = new byte[EpcPool.PageSize];
        for (ulong page = 0; page < 20; page++)
        {
            Assert.Equal(FaultOutcome.Present, enclave.AddressSpace.Read(page, read));
            Assert.True(read.AsSpan().IndexOfAnyExcept((byte)page) < 0);
        }

        enclave.Release();
    }

    private static void End(SimulatedMachine machine, Subject[] subjects)
    {
        foreach (Subject subject in subjects)
        {
            subject.End();
        }

        Assert.Equal(machine.Kernel.Pool.Total, machine.Kernel.Pool.Free);
        Assert.Equal(0, machine.Epc.FrameCount);
        Assert.Equal(0, machine.Epc.BackingBytes);
        Assert.All(Enumerable.Range(0, machine.Kernel.Pool.Total), page => Assert.False(machine.Processor.Epcm.IsValid(page)));
    }

    /// <summary>An enclave, two address spaces that map it, and what its pages contain.</summary>
    private sealed class Subject
    {
        [ThreadStatic]
        private static byte[]? t_read;

        [ThreadStatic]
        private static byte[]? t_expected;

        private readonly ulong[] _fillings = new ulong[EnclavePages];
        private readonly SimulatedEnclave _enclave;
        private readonly SimulatedAddressSpace[] _spaces;
        private readonly int _number;

        public Subject(SimulatedMachine machine, int number)
        {
            _number = number;
            _enclave = machine.CreateEnclave(EnclavePages * EpcPool.PageSize);
            Assert.Equal(Errno.None, _enclave.AddPages(0, EnclavePages, (page, contents) => Fill(page, 0, contents)));
            Assert.Equal(Errno.None, _enclave.Initialize());
            _spaces = [_enclave.AddressSpace, _enclave.Map(readsOutliveZap: true)];
        }

        public void Access(ulong page, bool write, int which)
        {
            byte[] expected = t_expected ??= new byte[EpcPool.PageSize];
            if (write)
            {
                Fill(page, ++_fillings[page], expected);
                Assert.Equal(FaultOutcome.Present, _spaces[which].Write(page, expected));
                return;
            }

            byte[] read = t_read ??= new byte[EpcPool.PageSize];
            Fill(page, _fillings[page], expected);
            Assert.Equal(FaultOutcome.Present, _spaces[which].Read(page, read));
            Assert.True(read.AsSpan().SequenceEqual(expected), "a page has other contents than it should");
        }

        public void ForkAndUnmap(ulong page)
        {
            SimulatedAddressSpace child = _enclave.Map();
            Assert.Equal(FaultOutcome.Present, child.Read(page, t_read ??= new byte[EpcPool.PageSize]));
            _enclave.Unmap(child);
        }

        public void End()
        {
            for (ulong page = 0; page < EnclavePages; page++)
            {
                Access(page, write: false, which: (int)(page % 2));
                _enclave.Machine.Balance();
            }

            _enclave.Release();
        }

        private void Fill(ulong page, ulong filling, Span<byte> contents)
        {
            ulong word = new SplitMix64(((ulong)_number << 56) + (page << 40) + filling).Next();
            foreach (ref ulong place in MemoryMarshal.Cast<byte, ulong>(contents))
            {
                place = word;
                word += 0x9E37_79B9_7F4A_7C15;
            }
        }
    }
}
