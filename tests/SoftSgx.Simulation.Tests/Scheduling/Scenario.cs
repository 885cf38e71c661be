using SoftSgx.Architecture;
using SoftSgx.Kernel;

namespace SoftSgx.Simulation.Tests;

/// <summary>
/// A small random scenario on a tiny EPC: threads that access, fork, build, enter, reclaim and release, interleaved by a seed. Every
/// byte read is compared with what was written; at the end nothing may be left.
/// </summary>
internal sealed class Scenario : IDisposable
{
    private const int FirstTcsPage = 40;
    private const ulong EnclaveSize = 1 << 20;

    private readonly VirtualScheduler _scheduler;
    private readonly SimulatedMachine _machine;
    private readonly List<Subject> _subjects = [];
    private readonly ulong _seed;
    private long _accesses;

    public Scenario(ulong seed)
    {
        _seed = seed;
        _scheduler = new VirtualScheduler(seed, maximumSteps: 50_000);
        SplitMix64 random = new(~seed);
        int enclaves = 1 + random.Below(3);
        int threads = random.Below(3);
        int batch = 1 + random.Below(8);
        int low = random.Below(4);
        // Room for what cannot be reclaimed, for a page of each enclave, and for one in flight.
        int epcPages = (enclaves * 3) + (threads * 2) + 3 + random.Below(8);
        _machine = new SimulatedMachine(new SimulatedMachineOptions
        {
            EpcPages = epcPages,
            Reclaimer = ReclaimerMode.Scheduled,
            Scheduler = _scheduler,
            Reclaim = new ReclaimSettings
            {
                Batch = batch,
                LowPages = low,
                HighPages = low + random.Below(5),
                Policy = (ReplacementPolicyKind)random.Below(3),
            },
        });
        for (int i = 0; i < enclaves; i++)
        {
            _subjects.Add(new Subject(this, i, random.Chance(0.6), threads, 2 + random.Below(12)));
        }
    }

    public long Steps => _scheduler.Steps;

    public long Accesses => _accesses;

    public PagingCounters Counters { get; private set; }

    /// <summary>Runs it. Throws with the seed in the message if anything is wrong.</summary>
    public void Run()
    {
        int workers = 2 + new SplitMix64(_seed + 1).Below(3);
        _scheduler.Run(
        [
            ("ksgxd", Ksgxd),
            .. Enumerable.Range(0, workers).Select(worker => ($"thread {worker}", (Action)(() => Work(worker)))),
        ]);
        try
        {
            foreach (Subject subject in _subjects)
            {
                subject.CheckAll();
            }

            Counters = _machine.Kernel.Counters;
            foreach (Subject subject in _subjects)
            {
                subject.Release();
            }

            AssertNothingLeft();
        }
        catch (Exception e) when (e is not ScheduleException)
        {
            throw new ScheduleException($"seed {_seed}, after all threads have ended: {e.Message}", e);
        }
    }

    public void Dispose() => _machine.Dispose();

    private void Ksgxd()
    {
        SgxSubsystem kernel = _machine.Kernel;
        while (!_scheduler.IsEnding)
        {
            _scheduler.WaitUntil(() => _scheduler.IsEnding || kernel.Pool.Free <= 2);
            if (!_scheduler.IsEnding)
            {
                kernel.Reclaimer.ReclaimBatch();
            }
        }
    }

    private void Work(int worker)
    {
        SplitMix64 random = new(_seed * 31 + (ulong)worker);
        int operations = 5 + random.Below(30);
        for (int i = 0; i < operations; i++)
        {
            Subject subject = _subjects[random.Below(_subjects.Count)];
            _scheduler.Yield("between operations");
            switch (random.Below(40))
            {
                case < 14:
                    subject.Read(ref random);
                    break;

                case < 24:
                    subject.Write(ref random);
                    break;

                case < 27:
                    subject.Fork(ref random);
                    break;

                case < 28:
                    subject.Unmap(ref random);
                    break;

                case < 32:
                    subject.AddPage(ref random);
                    break;

                case < 37:
                    subject.Enter(ref random, worker);
                    break;

                case < 39:
                    _machine.Kernel.Reclaimer.ReclaimBatch();
                    break;

                default:
                    if (random.Chance(0.3))
                    {
                        subject.Release();
                    }

                    break;
            }
        }
    }

    private void AssertNothingLeft()
    {
        SgxSubsystem kernel = _machine.Kernel;
        Assert.Equal(kernel.Pool.Total, kernel.Pool.Free);
        Assert.All(Enum.GetValues<PageType>(), type => Assert.Equal(0, kernel.Pool.CountOf(type)));
        Assert.Equal(0, _machine.Epc.FrameCount);
        Assert.Equal(0, _machine.Epc.BackingBytes);
        Assert.All(Enumerable.Range(0, kernel.Pool.Total), page => Assert.False(_machine.Processor.Epcm.IsValid(page)));
        Assert.False(kernel.Reclaimer.CanReclaim);
        Assert.False(kernel.Reclaimer.ReclaimBatch());
        Assert.Equal(0, kernel.Counters.BackingBytes);
    }

    /// <summary>An enclave and what its pages must contain.</summary>
    private sealed class Subject
    {
        private readonly Scenario _scenario;
        private readonly int _number;
        private readonly SimulatedEnclave _enclave;
        private readonly List<SimulatedAddressSpace> _spaces = [];
        private readonly Dictionary<ulong, ulong> _contents = []; // by page: what it was filled from last
        private readonly List<ulong> _pages = [];
        private readonly List<ulong> _freeTcs = [];
        private readonly bool _initialized;
        private ulong _nextPage;
        private ulong _fillings;
        private int _inUse;
        private bool _released;

        public Subject(Scenario scenario, int number, bool initialized, int threads, int pages)
        {
            _scenario = scenario;
            _number = number;
            _initialized = initialized;
            _enclave = scenario._machine.CreateEnclave(EnclaveSize);
            _spaces.Add(_enclave.AddressSpace);
            for (int i = 0; i < pages; i++)
            {
                Assert.Equal(Errno.None, TryAdd());
            }

            if (initialized)
            {
                for (int i = 0; i < threads; i++)
                {
                    ulong tcs = FirstTcsPage + (2 * (ulong)i);
                    Assert.Equal(Errno.None, _enclave.AddThread(tcs));
                    _freeTcs.Add(tcs);
                }

                Assert.Equal(Errno.None, _enclave.Initialize());
            }
        }

        public void Read(ref SplitMix64 random)
        {
            if (TryPick(ref random, out SimulatedAddressSpace space, out ulong page))
            {
                byte[] read = new byte[EpcPool.PageSize];
                Check(space, page, space.Read(page, read), read);
            }
        }

        public void Write(ref SplitMix64 random)
        {
            if (TryPick(ref random, out SimulatedAddressSpace space, out ulong page))
            {
                Write(space, page, (ulong to, ReadOnlySpan<byte> contents) => space.Write(to, contents));
            }
        }

        public void Fork(ref SplitMix64 random)
        {
            if (!_released && _spaces.Count < 4)
            {
                _spaces.Add(_enclave.Map(readsOutliveZap: random.Chance(0.5)));
            }
        }

        public void Unmap(ref SplitMix64 random)
        {
            if (!_released && _inUse == 0 && _spaces.Count > 1)
            {
                SimulatedAddressSpace space = _spaces[1 + random.Below(_spaces.Count - 1)];
                _spaces.Remove(space);
                _enclave.Unmap(space);
            }
        }

        public void AddPage(ref SplitMix64 random)
        {
            if (!_initialized && !_released && _nextPage < FirstTcsPage)
            {
                Errno errno = TryAdd();
                Assert.True(
                    errno is Errno.None or Errno.EBUSY or Errno.ENOMEM || (errno == Errno.EBADF && _released),
                    $"ADD_PAGES: {errno}");
            }
        }

        public void Enter(ref SplitMix64 random, int worker)
        {
            if (_released || _freeTcs.Count == 0)
            {
                return;
            }

            int pick = random.Below(_freeTcs.Count);
            ulong tcs = _freeTcs[pick];
            _freeTcs.RemoveAt(pick);
            _inUse++;
            SimulatedAddressSpace space = _spaces[random.Below(_spaces.Count)];
            EnclaveThread thread = new(space, tcs);
            if (Survives(space, thread.Enter()))
            {
                for (int left = random.Below(4); left >= 0 && thread.IsInside; left--)
                {
                    _scenario._scheduler.Yield($"inside enclave {_number}");
                    ulong page = _pages[random.Below(_pages.Count)];
                    if (random.Chance(0.3))
                    {
                        Survives(space, thread.Interrupt());
                    }
                    else if (random.Chance(0.5))
                    {
                        byte[] read = new byte[EpcPool.PageSize];
                        Check(space, page, thread.Read(page, read), read);
                    }
                    else
                    {
                        Write(space, page, thread.Write);
                    }
                }

                if (thread.IsInside)
                {
                    thread.Leave();
                }
            }

            _freeTcs.Add(tcs);
            _inUse--;
        }

        public void Release()
        {
            // Nobody may be inside; faults and ioctls may be under way.
            if (!_released && _inUse == 0)
            {
                _released = true;
                _enclave.Release();
                Assert.True(_enclave.Inode.IsDisposed);
            }
        }

        public void CheckAll()
        {
            if (_released)
            {
                return;
            }

            byte[] read = new byte[EpcPool.PageSize];
            foreach (SimulatedAddressSpace space in _spaces)
            {
                foreach (ulong page in _pages)
                {
                    Check(space, page, space.Read(page, read), read);
                }
            }
        }

        private delegate FaultOutcome Writer(ulong page, ReadOnlySpan<byte> contents);

        private void Write(SimulatedAddressSpace space, ulong page, Writer write)
        {
            ulong filling = ++_fillings;
            byte[] contents = new byte[EpcPool.PageSize];
            Fill(page, filling, contents);
            if (Survives(space, write(page, contents)))
            {
                _contents[page] = filling;
                _scenario._accesses++;
            }
        }

        private Errno TryAdd()
        {
            ulong page = _nextPage++;
            Errno errno = _enclave.AddPages(page, 1, (index, contents) => Fill(index, 0, contents));
            if (errno == Errno.None)
            {
                _contents[page] = 0;
                _pages.Add(page);
            }

            return errno;
        }

        private bool TryPick(ref SplitMix64 random, out SimulatedAddressSpace space, out ulong page)
        {
            space = _spaces[random.Below(_spaces.Count)];
            page = _pages[random.Below(_pages.Count)];
            return !_released; // though the enclave may end while the access is under way
        }

        private void Check(SimulatedAddressSpace space, ulong page, FaultOutcome outcome, byte[] read)
        {
            if (Survives(space, outcome))
            {
                byte[] expected = new byte[EpcPool.PageSize];
                Fill(page, _contents[page], expected);
                _scenario._accesses++;
                if (!read.AsSpan().SequenceEqual(expected))
                {
                    int at = read.AsSpan().CommonPrefixLength(expected);
                    Assert.Fail($"enclave {_number}, page {page}: byte {at} is {read[at]:x2} and not {expected[at]:x2}");
                }
            }
        }

        private bool Survives(SimulatedAddressSpace space, FaultOutcome outcome)
        {
            Assert.True(
                outcome == FaultOutcome.Present || (outcome == FaultOutcome.Absent && (_released || space.IsUnmapped)),
                $"enclave {_number}: a page fault ends in {outcome}; {_scenario._machine.Kernel.Pool.Free} pages are free");
            return outcome == FaultOutcome.Present;
        }

        private void Fill(ulong page, ulong filling, Span<byte> contents)
        {
            SplitMix64 random = new(((ulong)_number << 56) + (page << 32) + filling);
            foreach (ref ulong word in System.Runtime.InteropServices.MemoryMarshal.Cast<byte, ulong>(contents))
            {
                word = random.Next();
            }
        }
    }
}
