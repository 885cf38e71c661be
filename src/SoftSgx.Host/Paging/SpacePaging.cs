using SoftSgx.Host.Enclaves;

namespace SoftSgx.Host.Paging;

/// <summary>What paging needs of one address space that uses enclaves.</summary>
/// <remarks>The tracer makes, changes and disposes of it; pager and reclaimer use it meanwhile.</remarks>
internal sealed class SpacePaging : IDisposable
{
    private volatile MappedEnclave[] _enclaves = [];

    internal SpacePaging(int tracer, EnclaveMappings mappings, FaultChannel channel, AgeingPage? page, PresentPages? present)
    {
        Tracer = tracer;
        Mappings = mappings;
        Channel = channel;
        Page = page;
        Present = present;
    }

    /// <summary>The id of the thread of ours that traces it.</summary>
    internal int Tracer { get; }

    internal EnclaveMappings Mappings { get; }

    /// <summary>The address space has ended: nobody is left on whom there could be a verdict. <see cref="FaultVerdicts"/>' own.</summary>
    internal bool IsOver { get; set; }

    /// <summary>By what the pager knows it.</summary>
    internal ulong PagerKey { get; set; }

    internal FaultChannel Channel { get; }

    /// <summary>Null if the program has no room for it.</summary>
    internal AgeingPage? Page { get; }

    /// <summary>Null if the process hides its page tables.</summary>
    internal PresentPages? Present { get; }

    /// <summary>The process that drops page table entries; null before the first enclave is created, and where there can be none.</summary>
    internal AgeingProcess? Ageing { get; set; }

    /// <summary>Whether enclave memory is closed to the program's threads: see <see cref="Isolation.EnclaveClosure"/>.</summary>
    internal Isolation.EnclaveClosure Closure { get; } = new();

    /// <summary>Ageing was started or cannot be.</summary>
    internal bool AgeingIsDecided { get; set; }

    /// <summary>The enclave as it is mapped here; null if it is not.</summary>
    internal MappedEnclave? Find(OpenEnclave owner)
    {
        foreach (MappedEnclave mapped in _enclaves)
        {
            if (ReferenceEquals(mapped.Owner, owner))
            {
                return mapped;
            }
        }
        return null;
    }

    /// <summary>
    /// The enclave is mapped here now, perhaps not for the first time. Once the mapping is registered, and before an access through it.
    /// </summary>
    internal void Add(OpenEnclave owner)
    {
        MappedEnclave? mapped = Find(owner);
        if (mapped is null)
        {
            mapped = new MappedEnclave(this, owner);
            _enclaves = [.. _enclaves, mapped];
        }
        owner.Enclave.AddAddressSpace(mapped);
    }

    /// <summary>Mappings went: enclaves of which nothing is mapped any more go too.</summary>
    internal void RemoveUnmapped()
    {
        foreach (MappedEnclave mapped in _enclaves)
        {
            if (!Mappings.Has(mapped.Owner))
            {
                _enclaves = [.. _enclaves.Where(other => other != mapped)];
                mapped.Owner.Enclave.RemoveAddressSpace(mapped);
            }
        }
    }

    public void Dispose()
    {
        foreach (MappedEnclave mapped in _enclaves)
        {
            mapped.Owner.Enclave.RemoveAddressSpace(mapped);
        }
        _enclaves = [];
        Ageing?.End();
        Channel.Dispose();
        Present?.Dispose();
        Page?.Dispose();
    }
}
