using System.Diagnostics;

namespace SoftSgx.Kernel;

/// <summary>
/// Swaps pages out of the EPC when it runs short. The counterpart of ksgxd and sgx_reclaim_pages in arch/x86/kernel/cpu/sgx/main.c.
/// </summary>
/// <remarks>
/// <para>
/// A batch goes through these steps; the enclave's lock is held within each of them for one page or a few, and never between
/// them, so faults, ioctls and the end of an enclave come in between:
/// </para>
/// <code>
///   detach ── age ── mark ────── zap ── EBLOCK ── EWB (ETRACK, interrupt) ── free
///              │ accessed            in every address space
///              └──► back to the list
/// </code>
/// <para>
/// A page of the batch that is gone when its turn comes, because its enclave ended or dropped it, is skipped: who takes a page out
/// of the enclave's page map returns it to the pool.
/// </para>
/// </remarks>
public sealed class Reclaimer : IDisposable
{
    private readonly SgxSubsystem _subsystem;
    private readonly ReclaimSettings _settings;
    private readonly Lock _listLock = new();
    private readonly IReplacementPolicy _policy;
    private readonly int[] _owners;   // by EPC page: id of the enclave, of a page that the policy has or that is detached
    private readonly uint[] _indexes; // by EPC page: index of the page in its enclave
    private readonly EpcPageLinks _links;
    private readonly Stack<ReclaimBatch> _batches = new();
    private readonly object _progressLock = new();
    private readonly AutoResetEvent _wake = new(false);
    private Thread? _thread;
    private volatile bool _stopping;
    private long _progress;
    private int _detached;
    private int _dying;
    private int _unusable; // candidates in a row that a logical processor holds

    internal Reclaimer(SgxSubsystem subsystem, EpcPageLinks links, ReclaimSettings settings)
    {
        _subsystem = subsystem;
        _settings = settings;
        _links = links;
        int pages = links.Next.Length;
        _owners = new int[pages];
        _indexes = new uint[pages];
        _policy = settings.Policy switch
        {
            ReplacementPolicyKind.Lru => new ListPolicy(links, ages: true),
            ReplacementPolicyKind.Fifo => new ListPolicy(links, ages: false),
            ReplacementPolicyKind.TwoQueues => new TwoQueuesPolicy(links, pages),
            _ => throw new ArgumentOutOfRangeException(nameof(settings)),
        };
    }

    /// <summary>Counts the batches that are done: what waiters compare.</summary>
    public long Progress => Volatile.Read(ref _progress);

    /// <summary>Called by the reclaimer's thread each time that it wakes up to work: a host may choose its processor there.</summary>
    public Action? Woken { get; set; }

    /// <summary>
    /// Something can be reclaimed, now or soon: not everything in the EPC is a SECS, a version array, or held by a logical
    /// processor that is inside.
    /// </summary>
    public bool CanReclaim
    {
        get
        {
            lock (_listLock)
            {
                int all = _policy.Count + _detached;
                return all > 0 && _unusable <= 2 * (all + _settings.Batch);
            }
        }
    }

    /// <summary>Starts the thread.</summary>
    public void Start()
    {
        _thread = new Thread(Run) { Name = "ksgxd", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Ends the thread after the batch that it is working on.</summary>
    public void Stop()
    {
        _stopping = true;
        _wake.Set();
        _thread?.Join();
        _thread = null;
    }

    /// <summary>Reclaims one batch on the calling thread, which holds no lock.</summary>
    /// <returns><see langword="false"/> if there was no page to look at.</returns>
    public bool ReclaimBatch()
    {
        ReclaimBatch batch = Detach();
        if (batch.Count > 0)
        {
            _subsystem.Reach(SchedulingPoint.BatchDetached);
            int detached = batch.Count;
            AgeAndMark(batch);
            _subsystem.Reach(SchedulingPoint.BatchMarked);
            Block(batch);
            WriteBack(batch);
            Finish(batch, detached);
            return true;
        }

        Finish(batch, 0);
        return false;
    }

    /// <summary>Waits until a batch is done that was not when <paramref name="seen"/> was read from <see cref="Progress"/>.</summary>
    /// <param name="seen">The value read before the fault was handled.</param>
    /// <param name="timeout">How long at most.</param>
    /// <returns><see langword="false"/> after the timeout.</returns>
    public bool WaitForProgress(long seen, TimeSpan timeout)
    {
        if (_subsystem.Options.Scheduler is { } scheduler)
        {
            return scheduler.WaitUntil(() => Progress != seen);
        }

        lock (_progressLock)
        {
            return _progress != seen || Monitor.Wait(_progressLock, timeout);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Stop();
        _wake.Dispose();
    }

    /// <summary>Wakes the thread if fewer pages are free than the low watermark.</summary>
    internal void WakeIfLow()
    {
        if (_subsystem.Pool.Free < _settings.LowPages)
        {
            _wake.Set();
        }
    }

    /// <summary>A page may be reclaimed from now on. Under its enclave's lock.</summary>
    internal void Add(Enclave enclave, ulong index, int epcPage)
    {
        lock (_listLock)
        {
            _owners[epcPage] = enclave.Id;
            _indexes[epcPage] = (uint)index;
            _policy.Add(epcPage, KeyOf(enclave.Id, index));
            _unusable = 0;
        }
    }

    /// <summary>A page is no longer to be reclaimed; nothing happens if the reclaimer has it detached. Under its enclave's lock.</summary>
    internal void Remove(int epcPage)
    {
        lock (_listLock)
        {
            if (_links.Previous[epcPage] != EpcPageLinks.Unlisted)
            {
                _policy.Remove(epcPage);
            }
        }
    }

    /// <summary>A detached page stays in the EPC after all. Under its enclave's lock, and the page is still that enclave's.</summary>
    internal void Keep(int epcPage, bool isHeld)
    {
        lock (_listLock)
        {
            _policy.Keep(epcPage);
            _unusable = isHeld ? _unusable + 1 : 0;
        }
    }

    /// <summary>A detached page was swapped out. Under its enclave's lock.</summary>
    internal void OnEvicted(Enclave enclave, ulong index, int epcPage)
    {
        lock (_listLock)
        {
            _policy.Evicted(epcPage, KeyOf(enclave.Id, index));
            _unusable = 0;
        }
    }

    /// <summary>
    /// An enclave is about to return its pages: the reclaimer leaves them alone, so for a moment nothing may be reclaimable although
    /// the EPC is not full for good. (An ioctl must not wait for that moment to end: it may be what the end waits for.)
    /// </summary>
    internal bool IsReleaseUnderWay => Volatile.Read(ref _dying) > 0;

    /// <summary>An enclave is about to return its pages (1), or has done so (−1).</summary>
    internal void OnDying(int change) => Interlocked.Add(ref _dying, change);

    /// <summary>A logical processor left an enclave or an enclave ended: what was unusable may not be any more.</summary>
    internal void OnReleased() => Volatile.Write(ref _unusable, 0);

    /// <summary>The enclave and the index of the page in an EPC page that is reclaimable or detached.</summary>
    internal (Enclave? Enclave, ulong Index) OwnerOf(int epcPage)
    {
        lock (_listLock)
        {
            return (_subsystem.Enclaves[_owners[epcPage]], _indexes[epcPage]);
        }
    }

    private static ulong KeyOf(int enclave, ulong index) => ((ulong)(uint)enclave << 32) | (uint)index;

    private ReclaimBatch Detach()
    {
        lock (_listLock)
        {
            ReclaimBatch batch = _batches.Count > 0 ? _batches.Pop() : new ReclaimBatch(_settings.Batch);
            int most = Math.Min(_settings.Batch, _policy.Count);
            for (int i = 0; i < most; i++)
            {
                int page = _policy.Detach(out bool ages);
                Enclave? enclave = _subsystem.Enclaves[_owners[page]];
                if (enclave is null || enclave.IsDead)
                {
                    _policy.Forget(page); // its enclave is about to return it
                    continue;
                }

                batch.Insert(enclave, (ulong)_indexes[page] * EpcPool.PageSize, page, ages);
            }

            _detached += batch.Count;
            return batch;
        }
    }

    // Leaves in the batch the pages that are to go, marked.
    private static void AgeAndMark(ReclaimBatch batch)
    {
        int marked = 0;
        for (int from = 0, to; from < batch.Count; from = to)
        {
            to = batch.EndOfEnclave(from);
            marked = batch.EnclaveOf(from).AgeAndMark(batch, from, to, marked);
        }

        batch.Cut(marked);
    }

    private static void Block(ReclaimBatch batch)
    {
        for (int from = 0, to; from < batch.Count; from = to)
        {
            to = batch.EndOfEnclave(from);
            batch.EnclaveOf(from).Block(batch, from, to);
        }
    }

    private void WriteBack(ReclaimBatch batch)
    {
        for (int from = 0, to; from < batch.Count; from = to)
        {
            to = batch.EndOfEnclave(from);
            Enclave enclave = batch.EnclaveOf(from);
            long start = Stopwatch.GetTimestamp();
            for (int i = from; i < to; i++)
            {
                _subsystem.Reach(SchedulingPoint.BeforeWriteBack);
                enclave.WriteBack(batch.Offsets[i], batch.EpcPages[i]);
            }

            enclave.CompleteEviction(start);
        }
    }

    private void Finish(ReclaimBatch batch, int detached)
    {
        batch.Clear();
        lock (_listLock)
        {
            _detached -= detached;
            _batches.Push(batch);
        }

        lock (_progressLock)
        {
            _progress++;
            Monitor.PulseAll(_progressLock);
        }
    }

    private void Run()
    {
        while (true)
        {
            _wake.WaitOne();
            if (_stopping)
            {
                return;
            }

            Woken?.Invoke();
            while (!_stopping && _subsystem.Pool.Free < _settings.HighPages && CanReclaim && ReclaimBatch())
            {
            }
        }
    }
}
