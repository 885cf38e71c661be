namespace SoftSgx.Host.Tests.Fuzz.Model;

/// <summary>What a descriptor refers to: an enclave, the provisioning device (no enclave), or either by name only (O_PATH).</summary>
internal sealed record OpenFile(EnclaveState? Enclave, bool IsPathOnly);

/// <summary>A mapping of an enclave. Adjacent ones are never merged: the driver's mappings are special (VM_PFNMAP).</summary>
internal sealed record Mapping(ulong Start, ulong End, ulong Protection, EnclaveState Enclave)
{
    /// <summary>See <see cref="Limits.IsOutOfStep"/>.</summary>
    internal bool IsOutOfStep { get; init; }
}

/// <summary>A process: its descriptors, and its mappings in the arena.</summary>
internal sealed class ProcessState
{
    private readonly List<Mapping> _mappings = []; // by address

    internal OpenFile?[] Slots { get; } = new OpenFile?[Layout.Slots];

    internal IReadOnlyList<Mapping> Mappings => _mappings;

    internal Mapping? MappingAt(ulong address) => _mappings.Find(mapping => address >= mapping.Start && address < mapping.End);

    internal bool Overlaps(ulong start, ulong end) => _mappings.Exists(mapping => mapping.Start < end && start < mapping.End);

    /// <summary>Another process changed the state of an enclave that is mapped here.</summary>
    internal void LoseStep(EnclaveState enclave)
    {
        for (int i = 0; i < _mappings.Count; i++)
        {
            _mappings[i] = _mappings[i] with { IsOutOfStep = _mappings[i].IsOutOfStep || _mappings[i].Enclave == enclave };
        }
    }

    internal ProcessState Fork()
    {
        ProcessState child = new();
        Slots.CopyTo(child.Slots, 0);
        child._mappings.AddRange(_mappings);
        return child;
    }

    internal void Add(Mapping mapping)
    {
        Remove(mapping.Start, mapping.End);
        _mappings.Insert(IndexFrom(mapping.Start), mapping);
    }

    internal void Remove(ulong start, ulong end)
    {
        Split(start);
        Split(end);
        _mappings.RemoveAll(mapping => mapping.Start >= start && mapping.End <= end);
    }

    /// <summary>Gives part of a mapping, which is all of it then, another protection.</summary>
    internal void Protect(Mapping mapping, ulong start, ulong end, ulong protection)
        => Add(mapping with { Start = start, End = end, Protection = protection });

    private int IndexFrom(ulong start)
    {
        int index = _mappings.FindIndex(mapping => mapping.Start >= start);
        return index < 0 ? _mappings.Count : index;
    }

    private void Split(ulong address)
    {
        int index = _mappings.FindIndex(mapping => mapping.Start < address && address < mapping.End);
        if (index >= 0)
        {
            Mapping whole = _mappings[index];
            _mappings[index] = whole with { End = address };
            _mappings.Insert(index + 1, whole with { Start = address });
        }
    }
}
