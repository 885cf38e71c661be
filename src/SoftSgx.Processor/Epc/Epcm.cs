using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// The EPCM: for every EPC page whether it is in use, for what, by which enclave, and at which address.
/// SDM vol. 3D, "Enclave page cache map (EPCM)".
/// </summary>
/// <remarks>
/// <para>
/// A structure of arrays. Every entry has a try-lock, as the hardware has: a leaf that cannot take it conflicts
/// (SDM, the concurrency table of each leaf). Exclusive holders change the entry and the page; shared holders rely on it.
/// Locks are held within one leaf only, and a leaf holds at most one SECS's and one other page's.
/// </para>
/// <code>
/// lock word of an entry    0 free | -1 exclusive | n > 0 shared by n
/// </code>
/// </remarks>
public sealed class Epcm
{
    private const int Exclusive = -1;

    private readonly byte[] _flags;
    private readonly PageType[] _type;
    private readonly ulong[] _address;
    private readonly int[] _secs;
    private readonly int[] _lock;

    /// <summary>An EPCM of <paramref name="pages"/> entries, none of them valid.</summary>
    public Epcm(int pages)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(pages);
        _flags = new byte[pages];
        _type = new PageType[pages];
        _address = new ulong[pages];
        _secs = new int[pages];
        _lock = new int[pages];
    }

    [Flags]
    private enum EntryFlags : byte
    {
        None = 0,
        R = 1 << 0,
        W = 1 << 1,
        X = 1 << 2,
        Pending = 1 << 3,
        Modified = 1 << 4,
        PermissionRestricted = 1 << 5,
        Blocked = 1 << 6,
        Valid = 1 << 7,
    }

    /// <summary>Number of pages of the EPC.</summary>
    public int PageCount => _flags.Length;

    /// <summary>True if <paramref name="page"/> is the number of an EPC page.</summary>
    public bool Contains(int page) => (uint)page < (uint)_flags.Length;

    /// <summary>VALID: the page is in use.</summary>
    public bool IsValid(int page) => Has(page, EntryFlags.Valid);

    /// <summary>PT: what the page is used for.</summary>
    public PageType TypeOf(int page) => _type[page];

    /// <summary>R, W and X: what the enclave may do with the page; none for a page that is not valid.</summary>
    public SecInfoFlags Permissions(int page) => (SecInfoFlags)Volatile.Read(ref Raw(page)) & SecInfoFlags.RWX;

    /// <summary>ENCLAVEADDRESS: the linear address at which alone the page may be used.</summary>
    public ulong EnclaveAddress(int page) => _address[page];

    /// <summary>ENCLAVESECS: the EPC page of the owning enclave's SECS. Meaningless for SECS and VA pages.</summary>
    public int EnclaveSecs(int page) => _secs[page];

    /// <summary>BLOCKED: no new translations of the page.</summary>
    public bool IsBlocked(int page) => Has(page, EntryFlags.Blocked);

    /// <summary>PENDING: added by EAUG and not yet accepted.</summary>
    public bool IsPending(int page) => Has(page, EntryFlags.Pending);

    /// <summary>MODIFIED: its type was changed and not yet accepted.</summary>
    public bool IsModified(int page) => Has(page, EntryFlags.Modified);

    /// <summary>PR: its permissions were restricted and not yet accepted.</summary>
    public bool IsPermissionRestricted(int page) => Has(page, EntryFlags.PermissionRestricted);

    /// <summary>True if an enclave may use the page: valid, not blocked, nothing to be accepted.</summary>
    internal bool IsAccessible(int page) =>
        (Volatile.Read(ref Raw(page)) & (byte)(EntryFlags.Valid | EntryFlags.Blocked | EntryFlags.Pending | EntryFlags.Modified))
        == (byte)EntryFlags.Valid;

    /// <summary>Makes the entry valid. The caller holds it exclusively; VALID is written last.</summary>
    internal void Set(int page, PageType type, SecInfoFlags permissions, ulong address, int secs)
    {
        _type[page] = type;
        _address[page] = address;
        _secs[page] = secs;
        Volatile.Write(ref Raw(page), (byte)((EntryFlags)(byte)(permissions & SecInfoFlags.RWX) | EntryFlags.Valid));
    }

    /// <summary>Makes the entry invalid. The caller holds it exclusively.</summary>
    internal void Clear(int page) => Volatile.Write(ref Raw(page), (byte)EntryFlags.None);

    /// <summary>Takes the entry exclusively, or says at once that somebody has it.</summary>
    internal bool TryLockExclusive(int page) => Interlocked.CompareExchange(ref _lock[page], Exclusive, 0) == 0;

    /// <summary>Gives back what <see cref="TryLockExclusive"/> took.</summary>
    internal void UnlockExclusive(int page) => Volatile.Write(ref _lock[page], 0);

    /// <summary>Takes the entry together with other sharers, or says at once that somebody has it exclusively.</summary>
    internal bool TryLockShared(int page)
    {
        int seen = Volatile.Read(ref _lock[page]);
        while (seen >= 0)
        {
            int before = Interlocked.CompareExchange(ref _lock[page], seen + 1, seen);
            if (before == seen)
            {
                return true;
            }

            seen = before;
        }

        return false;
    }

    /// <summary>
    /// Takes the entry together with other sharers; waits for an exclusive holder, who never holds it for longer than one leaf.
    /// For accesses that the manual says do not conflict.
    /// </summary>
    internal void LockShared(int page)
    {
        SpinWait spin = default;
        while (!TryLockShared(page))
        {
            spin.SpinOnce();
        }
    }

    /// <summary>Gives back what <see cref="TryLockShared"/> or <see cref="LockShared"/> took.</summary>
    internal void UnlockShared(int page) => Interlocked.Decrement(ref _lock[page]);

    private ref byte Raw(int page) => ref _flags[page];

    private bool Has(int page, EntryFlags flag) => (Volatile.Read(ref Raw(page)) & (byte)flag) != 0;
}
