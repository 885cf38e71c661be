namespace SoftSgx.Host.Tests.Fuzz.Model;

/// <summary>The types that an enclave page can have (SDM vol. 3D, page types).</summary>
internal enum PageKind
{
    Tcs = 1,
    Reg = 2,
    Trim = 4,
}

/// <summary>What a page holds, as far as it matters.</summary>
internal enum Content
{
    Code,
    Tcs,
    SecInfos,
    Junk,
    Zero,
}

/// <summary>One page of an enclave: what the driver remembers of it, and its EPCM entry.</summary>
internal sealed class PageState
{
    internal PageKind Kind { get; set; }

    internal Content Content { get; set; }

    /// <summary>The most that a mapping may ask: PROT_READ, PROT_WRITE, PROT_EXEC.</summary>
    internal ulong Maximum { get; set; }

    /// <summary>EPCM.R, W, X, as the same three bits.</summary>
    internal ulong Permissions { get; set; }

    internal bool Pending { get; set; }

    internal bool Modified { get; set; }

    /// <summary>Of a TCS: an operation was interrupted, and CSSA is 1; see <see cref="EnclaveState.Saved"/>.</summary>
    internal bool IsInterrupted { get; set; }

    /// <summary>Something was written to it, where only a TCS minds.</summary>
    internal void Write() => Content = Content == Content.Tcs ? Content.Junk : Content;

    /// <summary>A thread inside an enclave may read, write or execute it at all.</summary>
    internal bool IsAccessible => Kind == PageKind.Reg && !Pending && !Modified;
}

/// <summary>What an enclave was asked to do.</summary>
/// <param name="Number">0 nothing, 1 read, 2 write, 3 an ENCLU leaf.</param>
/// <param name="First">The address, or of the SECINFO.</param>
/// <param name="Second">The page that the leaf is about.</param>
/// <param name="Leaf">The leaf.</param>
/// <param name="Process">Who entered: the enclave works on this process's stack pointer, and leaves with it.</param>
internal sealed record Operation(ulong Number, ulong First, ulong Second, ulong Leaf, ProcessState Process);

/// <summary>One opener of the enclave device.</summary>
internal sealed class EnclaveState
{
    /// <summary>Opened by the path of 2019.</summary>
    internal bool IsV22 { get; init; }

    internal bool IsCreated { get; set; }

    internal bool IsInitialized { get; set; }

    /// <summary>ADD_PAGE was used: the rules of 2019 hold for mappings, faults and SGX2.</summary>
    internal bool UsedAddPage { get; set; }

    internal ulong Base { get; set; }

    internal ulong Size { get; set; }

    internal ulong Attributes { get; set; }

    internal ulong Xfrm { get; set; }

    internal uint Misc { get; set; }

    /// <summary>PROVISIONKEY was allowed.</summary>
    internal bool MayProvision { get; set; }

    /// <summary>By their offset in pages.</summary>
    internal SortedDictionary<ulong, PageState> Pages { get; } = [];

    internal Measurement? Measurement { get; set; }

    /// <summary>
    /// The operation that was interrupted last: every TCS of these enclaves has the same SSA frame, which holds it until it is
    /// overwritten.
    /// </summary>
    internal Operation? Saved { get; set; }

    internal bool Contains(ulong address) => IsCreated && address - Base < Size;

    internal PageState? PageAt(ulong address) => Contains(address) ? Pages.GetValueOrDefault((address - Base) / Layout.Page) : null;
}
