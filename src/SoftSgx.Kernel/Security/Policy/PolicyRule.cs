using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>Numbers from the first to the last.</summary>
public readonly record struct NumberRange(uint First, uint Last)
{
    /// <summary>The number is one of them.</summary>
    public bool Contains(uint number) => number >= First && number <= Last;
}

/// <summary>Whom a rule is about; a condition that is empty or zero holds for all.</summary>
public record PolicySubject
{
    /// <summary>What audit lines call the rule.</summary>
    public required string Name { get; init; }

    /// <summary>Effective user ids of the caller.</summary>
    public IReadOnlyList<NumberRange> Users { get; init; } = [];

    /// <summary>Paths of the program that the caller executes.</summary>
    public IReadOnlyList<PathPattern> Executables { get; init; } = [];

    /// <summary>Attributes that the enclave must have.</summary>
    public AttributeFlags Required { get; init; }

    /// <summary>Attributes that it must not have.</summary>
    public AttributeFlags Forbidden { get; init; }

    /// <summary>Whether caller and attributes fit.</summary>
    /// <param name="task">The caller; asked only for what the rule asks.</param>
    /// <param name="attributes">The enclave's attributes.</param>
    internal bool Fits(ICallingTask task, AttributeFlags attributes)
        => (attributes & Required) == Required
            && (attributes & Forbidden) == 0
            && (Users.Count == 0 || IsAmong(Users, task.User))
            && (Executables.Count == 0 || (task.Executable is { } path && PathPattern.IsAmong(Executables, path)));

    /// <summary>Whether a number is in one of the ranges.</summary>
    internal static bool IsAmong(IReadOnlyList<NumberRange> ranges, uint number)
    {
        for (int i = 0; i < ranges.Count; i++)
        {
            if (ranges[i].Contains(number))
            {
                return true;
            }
        }

        return false;
    }
}

/// <summary>A rule of who may run which enclave. The first one that fits decides.</summary>
public sealed record PolicyRule : PolicySubject
{
    /// <summary>What becomes of an enclave that fits.</summary>
    public required bool Allows { get; init; }

    /// <summary>MRENCLAVE, one of them.</summary>
    public IReadOnlyList<Hash256> MrEnclaves { get; init; } = [];

    /// <summary>MRSIGNER, one of them.</summary>
    public IReadOnlyList<Hash256> MrSigners { get; init; } = [];

    /// <summary>ISVPRODID.</summary>
    public IReadOnlyList<NumberRange> Products { get; init; } = [];

    /// <summary>ISVSVN.</summary>
    public IReadOnlyList<NumberRange> Versions { get; init; } = [];

    /// <summary>It asks for something that only INIT knows.</summary>
    internal bool NeedsIdentity => MrEnclaves.Count + MrSigners.Count + Products.Count + Versions.Count > 0;

    /// <summary>Whether the identity fits.</summary>
    internal bool Fits(in Hash256 mrEnclave, in Hash256 mrSigner, ushort product, ushort version)
        => (MrEnclaves.Count == 0 || IsAmong(MrEnclaves, in mrEnclave))
            && (MrSigners.Count == 0 || IsAmong(MrSigners, in mrSigner))
            && (Products.Count == 0 || IsAmong(Products, product))
            && (Versions.Count == 0 || IsAmong(Versions, version));

    private static bool IsAmong(IReadOnlyList<Hash256> hashes, in Hash256 hash)
    {
        for (int i = 0; i < hashes.Count; i++)
        {
            if (hashes[i] == hash)
            {
                return true;
            }
        }

        return false;
    }
}

/// <summary>What enclave pages can be kept from; the names are those of the proposals of 2019, as far as they had one.</summary>
[Flags]
public enum PagePermissions
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>execunmr: an executable page that is not measured.</summary>
    ExecUnmeasured = 1,

    /// <summary>execdirty: a page that was or may be writable becomes executable.</summary>
    ExecDirty = 2,

    /// <summary>execanon: an executable page from memory that is no file's, or not any more.</summary>
    ExecAnonymous = 4,

    /// <summary>mapwx: a mapping that is writable and executable at once.</summary>
    MapWriteExecute = 8,

    /// <summary>wxever: a page that is writable at one time of its life and executable at another, whichever came first.</summary>
    WriteExecuteEver = 16,
}

/// <summary>What holds for the pages of an enclave.</summary>
/// <param name="Denied">What they are kept from.</param>
/// <param name="EnclaveExecute">
/// enclave_execute: files that executable pages may come from; <see langword="null"/> if any may.
/// </param>
public sealed record PageRules(PagePermissions Denied, IReadOnlyList<PathPattern>? EnclaveExecute)
{
    /// <summary>Everything is allowed.</summary>
    public static PageRules Allowed { get; } = new(PagePermissions.None, null);
}

/// <summary>Other page rules for some callers.</summary>
public sealed record PageException : PolicySubject
{
    /// <summary>What holds instead.</summary>
    public required PageRules Rules { get; init; }
}
