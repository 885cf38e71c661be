using SoftSgx.Kernel;

namespace SoftSgx.Simulation;

/// <summary>
/// One address space that maps an enclave: its page tables, and the accesses of its threads. A page that is not present faults, and
/// the kernel handles it, as sgx_vma_fault and a processor's page walk do together.
/// </summary>
/// <remarks>
/// <see cref="Touch"/> and <see cref="TouchAfterFault"/> are for simulations without contents, which run on one thread; everything
/// else takes the address space's lock, under which nothing of the kernel is called.
/// </remarks>
public sealed class SimulatedAddressSpace : IEnclaveAddressSpace
{
    private readonly SimulatedEnclave _enclave;
    private readonly PageTable _table;
    private readonly Lock _lock = new();
    private bool _unmapped;

    internal SimulatedAddressSpace(SimulatedEnclave enclave)
    {
        _enclave = enclave;
        _table = new PageTable(enclave.Machine.Epc.WithContents);
    }

    /// <summary>The enclave.</summary>
    public SimulatedEnclave Enclave => _enclave;

    /// <summary>Faults that found the page in the EPC, so that only a page-table entry was missing.</summary>
    public long MinorFaults { get; private set; }

    /// <summary>It maps the enclave no longer.</summary>
    public bool IsUnmapped => Volatile.Read(ref _unmapped);

    /// <summary>Present entries.</summary>
    public long PresentPages => _table.Present;

    /// <summary>
    /// As on a host that can only write-protect pages of a shared mapping: what is zapped can be read until it is gone.
    /// </summary>
    public bool ReadsOutliveZap { get; init; }

    /// <summary>An access without contents.</summary>
    /// <param name="page">Page index in the enclave.</param>
    /// <returns><see langword="false"/>: a page fault.</returns>
    public bool Touch(ulong page) => _table.Touch(page);

    /// <summary>Has the kernel handle a fault and repeats the access, until the page is there or there is no hope.</summary>
    /// <param name="page">Page index in the enclave.</param>
    /// <returns><see cref="FaultOutcome.Present"/>, or what stands in the way.</returns>
    public FaultOutcome TouchAfterFault(ulong page)
    {
        FaultOutcome outcome;
        do
        {
            outcome = HandleFault(page);
        }
        while (outcome == FaultOutcome.Present && !_table.Touch(page));

        return outcome;
    }

    /// <summary>Reads a whole page as a thread of the address space would, outside of the enclave's instructions.</summary>
    /// <param name="page">Page index in the enclave.</param>
    /// <param name="destination">4,096 bytes.</param>
    /// <returns><see cref="FaultOutcome.Present"/>, or the outcome of the fault that cannot be helped.</returns>
    public FaultOutcome Read(ulong page, Span<byte> destination)
    {
        FaultOutcome outcome = FaultOutcome.Present;
        while (outcome == FaultOutcome.Present && !TryRead(page, destination))
        {
            outcome = HandleFault(page);
        }

        return outcome;
    }

    /// <summary>Writes a whole page as a thread of the address space would.</summary>
    /// <param name="page">Page index in the enclave.</param>
    /// <param name="contents">4,096 bytes.</param>
    /// <returns><see cref="FaultOutcome.Present"/>, or the outcome of the fault that cannot be helped.</returns>
    public FaultOutcome Write(ulong page, ReadOnlySpan<byte> contents)
    {
        FaultOutcome outcome = FaultOutcome.Present;
        while (outcome == FaultOutcome.Present && !TryWrite(page, contents))
        {
            outcome = HandleFault(page);
        }

        return outcome;
    }

    /// <inheritdoc/>
    public void TestAndClearAccessed(ReadOnlySpan<ulong> offsets, Span<bool> accessed)
    {
        lock (_lock)
        {
            for (int i = 0; i < offsets.Length; i++)
            {
                accessed[i] |= _table.TestAndClearAccessed(offsets[i] / EpcPool.PageSize);
            }
        }
    }

    /// <inheritdoc/>
    public void Zap(ReadOnlySpan<ulong> offsets)
    {
        lock (_lock)
        {
            foreach (ulong offset in offsets)
            {
                if (ReadsOutliveZap)
                {
                    _table.WriteProtect(offset / EpcPool.PageSize);
                }
                else
                {
                    _table.Clear(offset / EpcPool.PageSize);
                }
            }
        }
    }

    /// <inheritdoc/>
    /// <remarks>Permissions of the EPCM are not in the page tables here: what may have changed is looked up anew.</remarks>
    public void Restrict(ulong offset, PageProtection epcm) => Unmap(offset / EpcPool.PageSize);

    /// <inheritdoc/>
    public void Admit(ulong offset)
    {
        ulong page = offset / EpcPool.PageSize;
        lock (_lock)
        {
            if (!_table.IsPresent(page))
            {
                MinorFaults++;
                Enter(page);
            }
            else if (_enclave.Machine.Epc.WithContents && !_table.IsWritable(page))
            {
                Enter(page);
            }
        }
    }

    /// <summary>No thread can change the page, nor read it unless <see cref="ReadsOutliveZap"/> lets it.</summary>
    internal bool IsZapped(ulong page)
    {
        lock (_lock)
        {
            return ReadsOutliveZap ? !_table.IsWritable(page) : !_table.IsPresent(page);
        }
    }

    /// <summary>The kernel publishes a page for a fault of this address space.</summary>
    internal void Map(ulong page)
    {
        lock (_lock)
        {
            Enter(page);
        }
    }

    /// <summary>The address space maps the enclave no longer: every access faults, in vain.</summary>
    internal void UnmapAll()
    {
        lock (_lock)
        {
            _unmapped = true;
            _table.ClearAll();
        }
    }

    /// <summary>The inode loses a page.</summary>
    internal void Unmap(ulong page)
    {
        lock (_lock)
        {
            _table.Clear(page);
        }
    }

    /// <summary>Reads a page if its entry is present.</summary>
    /// <returns><see langword="false"/>: a page fault.</returns>
    internal bool TryRead(ulong page, Span<byte> destination)
    {
        lock (_lock)
        {
            if (!_table.Touch(page))
            {
                return false;
            }

            _table.FrameOf(page).CopyTo(destination);
            return true;
        }
    }

    /// <summary>Writes a page if its entry is present and writable.</summary>
    /// <returns><see langword="false"/>: a page fault.</returns>
    internal bool TryWrite(ulong page, ReadOnlySpan<byte> contents)
    {
        lock (_lock)
        {
            if (!_table.IsWritable(page) || !_table.Touch(page))
            {
                return false;
            }

            contents.CopyTo(_table.FrameOf(page));
            return true;
        }
    }

    /// <summary>Has the kernel handle one page fault.</summary>
    /// <param name="page">Page index in the enclave.</param>
    /// <returns><see cref="FaultOutcome.Present"/>: try again; the entry may be there or not.</returns>
    internal FaultOutcome HandleFault(ulong page)
    {
        Reclaimer reclaimer = _enclave.Machine.Kernel.Reclaimer;
        long seen = reclaimer.Progress;
        FaultOutcome outcome = _enclave.Kernel.HandleFault(
            _enclave.Kernel.Base + (page * EpcPool.PageSize), PageProtection.None, this);
        if (outcome == FaultOutcome.Retry)
        {
            _enclave.Machine.WaitForReclaimer(seen);
            outcome = FaultOutcome.Present;
        }

        return outcome == FaultOutcome.Present && IsUnmapped ? FaultOutcome.Absent : outcome;
    }

    private void Enter(ulong page)
    {
        if (!_unmapped)
        {
            _table.Enter(page, _enclave.Inode.TryFindFrame(page));
        }
    }
}
