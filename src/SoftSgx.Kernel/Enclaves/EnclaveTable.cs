namespace SoftSgx.Kernel;

/// <summary>The enclaves of a subsystem by small numbers, which EPC pages remember in place of references.</summary>
/// <remarks>Thread-safe. An id is given again only after <see cref="Remove"/>.</remarks>
internal sealed class EnclaveTable
{
    private readonly Lock _lock = new();
    private readonly Stack<int> _freeIds = new();
    private Enclave?[] _enclaves = new Enclave?[16];
    private int _count;

    /// <summary>The enclave of an id; <see langword="null"/> if there is none (any more).</summary>
    public Enclave? this[int id]
    {
        get
        {
            Enclave?[] enclaves = Volatile.Read(ref _enclaves);
            return (uint)id < (uint)enclaves.Length ? Volatile.Read(ref enclaves[id]) : null;
        }
    }

    /// <summary>Adds an enclave.</summary>
    /// <returns>Its id.</returns>
    public int Add(Enclave enclave)
    {
        lock (_lock)
        {
            int id = _freeIds.Count > 0 ? _freeIds.Pop() : _count++;
            if (id == _enclaves.Length)
            {
                Enclave?[] larger = new Enclave?[id * 2];
                _enclaves.CopyTo(larger, 0);
                Volatile.Write(ref _enclaves, larger);
            }

            Volatile.Write(ref _enclaves[id], enclave);
            return id;
        }
    }

    /// <summary>Removes an enclave that has no pages any more.</summary>
    public void Remove(int id)
    {
        lock (_lock)
        {
            Volatile.Write(ref _enclaves[id], null);
            _freeIds.Push(id);
        }
    }

    /// <summary>The enclaves that there are now.</summary>
    public IReadOnlyList<Enclave> Snapshot()
    {
        lock (_lock)
        {
            return [.. _enclaves.OfType<Enclave>()];
        }
    }
}
