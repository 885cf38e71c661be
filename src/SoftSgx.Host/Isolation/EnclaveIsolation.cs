using System.Runtime.InteropServices;
using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Paging;
using SoftSgx.Host.Supervision;
using SoftSgx.Kernel;

namespace SoftSgx.Host.Isolation;

/// <summary>
/// Keeps the program out of enclave memory as long as none of its threads is inside an enclave: the mappings of initialised enclaves
/// have no access then. By the tracer.
/// </summary>
/// <remarks>
/// <para>
/// On hardware what decides is whether the accessing thread is inside (SDM vol. 3D, "Access-control requirements"). Page tables belong to
/// the whole address space, so all its threads see the enclaves while one is inside.
/// </para>
/// <para>
/// The ageing process changes the protections, since an asynchronous exit happens where the thread can make no calls. Where there is none,
/// enclave memory stays open, and if it comes to its end, what is closed is opened page by page, by the faults of those inside.
/// </para>
/// </remarks>
internal sealed class EnclaveIsolation
{
    private readonly Action<string> _warn;
    private readonly List<AddressRange> _closing = [];
    private bool _hasWarned;

    internal EnclaveIsolation(Action<string> warn) => _warn = warn;

    /// <summary>Closes or opens an address space's enclave memory after anything that may call for it.</summary>
    internal void Update(AddressSpace space)
    {
        if (space.Enclaves.Count == 0 || space.Threads == 0 || space.Paging is not SpacePaging paging)
        {
            return;
        }
        EnclaveClosure closure = paging.Closure;
        bool close = space.ThreadsInside == 0;
        if (!ReferenceEquals(closure.Mappings, space.Enclaves.Version))
        {
            closure.Mappings = space.Enclaves.Version;
            closure.IsClosed = null;
            closure.RunsAreStale = true;
        }
        if (closure.IsClosed == close)
        {
            return;
        }
        if (paging.Ageing is not AgeingProcess { IsAlive: true } ageing)
        {
            Warn(space);
            return;
        }
        if (close)
        {
            Close(space.Enclaves, closure, ageing);
            return;
        }
        do
        {
            Collect(space.Enclaves, closure);
            Apply(closure, closure.Runs, ageing, close: false);
        }
        while (closure.RunsAreStale && ageing.IsAlive); // restricted while the memory was still closed
    }

    private void Close(EnclaveMappings mappings, EnclaveClosure closure, AgeingProcess ageing)
    {
        _closing.Clear();
        for (int i = 0; i < mappings.Count; i++)
        {
            EnclaveMapping mapping = mappings[i];
            if (mapping.Owner.Enclave.IsInitialized)
            {
                Add(_closing, mapping.Start, mapping.End, PageProtection.None);
            }
        }
        Apply(closure, _closing, ageing, close: true);
    }

    /// <summary>Brings the runs up to date. Without the ageing process's lock, which is taken under an enclave's and not before it.</summary>
    private static void Collect(EnclaveMappings mappings, EnclaveClosure closure)
    {
        if (!closure.RunsAreStale)
        {
            return;
        }
        closure.RunsAreStale = false;
        closure.Runs.Clear();
        for (int i = 0; i < mappings.Count; i++)
        {
            EnclaveMapping mapping = mappings[i];
            if (mapping.Owner.Enclave.IsInitialized)
            {
                for (ulong at = mapping.Start; mapping.Owner.Enclave.NextRun(ref at, mapping.End, out PageProtection epcm, out ulong end); at = end)
                {
                    Add(closure.Runs, at, end, mapping.HostProtection(at, epcm));
                }
            }
        }
    }

    /// <summary>Adds a range to a list, by making its last one longer if that lies before it and has the same protection.</summary>
    private static void Add(List<AddressRange> ranges, ulong start, ulong end, PageProtection protection)
    {
        AddressRange range = AddressRange.Protected(start, end - start, protection);
        if (ranges.Count > 0 && ranges[^1] is AddressRange last && last.End == start && last.Protection == range.Protection)
        {
            ranges[^1] = last with { Length = last.Length + (end - start) };
        }
        else
        {
            ranges.Add(range);
        }
    }

    private static void Apply(EnclaveClosure closure, List<AddressRange> ranges, AgeingProcess ageing, bool close)
    {
        using (ageing.Enter())
        {
            closure.IsClosed = null;
            ReadOnlySpan<AddressRange> rest = CollectionsMarshal.AsSpan(ranges);
            while (ageing.IsAlive && !rest.IsEmpty)
            {
                int count = Math.Min(rest.Length, AgeingPage.MaximumRanges);
                rest[..count].CopyTo(ageing.Ranges);
                _ = ageing.Protect(count);
                rest = rest[count..];
            }
            closure.IsClosed = ageing.IsAlive ? close : null;
        }
    }

    private void Warn(AddressSpace space)
    {
        for (int i = 0; i < space.Enclaves.Count && !_hasWarned; i++)
        {
            if (space.Enclaves[i].Owner.Enclave.IsInitialized)
            {
                _warn("--strict does not hold in this program: it has no process softsgx-paging, by which its enclave memory would be closed (see docs/limits.md)");
                _hasWarned = true;
            }
        }
    }
}
