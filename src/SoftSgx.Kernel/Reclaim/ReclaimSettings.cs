namespace SoftSgx.Kernel;

/// <summary>
/// How the reclaimer works; the defaults are Linux's (arch/x86/kernel/cpu/sgx/main.c: SGX_NR_TO_SCAN, SGX_NR_LOW_PAGES,
/// SGX_NR_HIGH_PAGES).
/// </summary>
public sealed record ReclaimSettings
{
    /// <summary>Largest batch that there can be.</summary>
    public const int MaximumBatch = 512;

    /// <summary>Pages looked at in one go, 1 to <see cref="MaximumBatch"/>.</summary>
    public int Batch { get; init; } = 16;

    /// <summary>An allocation that leaves fewer free pages wakes the reclaimer.</summary>
    public int LowPages { get; init; } = 32;

    /// <summary>The reclaimer works until so many pages are free.</summary>
    public int HighPages { get; init; } = 64;

    /// <summary>Which pages go first.</summary>
    public ReplacementPolicyKind Policy { get; init; } = ReplacementPolicyKind.Lru;

    /// <summary>Checks the ranges.</summary>
    /// <returns>What is wrong, for a user to read, or <see langword="null"/>.</returns>
    public string? Problem =>
        Batch is < 1 or > MaximumBatch ? $"a batch has 1 to {MaximumBatch} pages, not {Batch}"
        : LowPages < 0 ? $"the low watermark cannot be {LowPages}"
        : HighPages < LowPages ? $"the high watermark ({HighPages} pages) is below the low one ({LowPages} pages)"
        : null;
}
