namespace SoftSgx.Host.Statistics;

/// <summary>How threads entered and left enclaves during a run.</summary>
public sealed record TransitionStatistics
{
    /// <summary>Entries without a trap, through the vDSO.</summary>
    public required long EntriesByVdso { get; init; }

    /// <summary>Entries without a trap, by patched ENCLUs.</summary>
    public required long EntriesBySite { get; init; }

    /// <summary>Exits without a trap, by patched ENCLUs.</summary>
    public required long ExitsBySite { get; init; }

    /// <summary>Entries (EENTER) by the supervisor.</summary>
    public required long TrappedEntries { get; init; }

    /// <summary>Exits (EEXIT) by the supervisor.</summary>
    public required long TrappedExits { get; init; }

    /// <summary>Asynchronous exits: exceptions and signals.</summary>
    public required long AsynchronousExits { get; init; }

    /// <summary>ERESUMEs.</summary>
    public required long Resumes { get; init; }

    /// <summary>Those of them without a trap.</summary>
    public long DirectResumes { get; init; }

    /// <summary>ENCLUs that were patched, in all address spaces together.</summary>
    public required long PatchedSites { get; init; }
}
