using SoftSgx.Host.Paging;

namespace SoftSgx.Host.Isolation;

/// <summary>Whether the enclave memory of one address space is closed to the program's threads, and how to open it.</summary>
/// <remarks>
/// The tracer closes and opens, under the lock of the ageing process; who restricts a page (<see cref="MappedEnclave.Restrict"/>) reads
/// the state under the same lock. Everything else is the tracer's alone.
/// </remarks>
internal sealed class EnclaveClosure
{
    /// <summary>Null when pages may be either: then they must be closed or opened again.</summary>
    internal bool? IsClosed { get; set; }

    /// <summary>The EPCM allows something else than <see cref="Runs"/> say.</summary>
    internal volatile bool RunsAreStale = true;

    /// <summary>The mappings that the state and the runs are of: <see cref="Enclaves.EnclaveMappings.Version"/>.</summary>
    internal object? Mappings { get; set; }

    /// <summary>What opening gives to which pages.</summary>
    internal List<AddressRange> Runs { get; } = [];
}
