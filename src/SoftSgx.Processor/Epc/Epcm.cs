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
/// Locks are held within one leaf only.
/// </para>
/// <para>
/// The flags of an entry are one byte, so that whoever looks without a lock sees them all of one moment. Bits 5:0 stand where
/// SECINFO has them.
/// </para>
/// <code>
/// flags    0 R | 1 W | 2 X | 3 PENDING | 4 MODIFIED | 5 PR | 6 BLOCKED | 7 VALID
/// </code>
/// </remarks>
public sealed class Epcm
{
    private const SecInfoFlags StateMask = SecInfoFlags.RWX | SecInfoFlags.PENDING | SecInfoFlags.MODIFIED | SecInfoFlags.PR;

    private readonly byte[] _flags;
    private readonly PageType[] _type;
    private readonly ulong[] _address;
    private readonly int[] _secs;
    private readonly uint[] _epoch;
    private readonly int[] _lock;
    private readonly byte[] _modifying;

    /// <summary>An EPCM of <paramref name="pages"/> entries, none of them valid.</summary>
    public Epcm(int pages)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(pages);
        _flags = new byte[pages];
        _type = new PageType[pages];
        _address = new ulong[pages];
        _secs = new int[pages];
        _epoch = new uint[pages];
        _lock = new int[pages];
        _modifying = new byte[pages];
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

    /// <summary>Permissions and PENDING, MODIFIED and PR, all of one moment, where SECINFO has them.</summary>
    internal SecInfoFlags State(int page) => (SecInfoFlags)Volatile.Read(ref Raw(page)) & StateMask;

    /// <summary>The epoch of the enclave at which the page was blocked, or its permissions or type were changed.</summary>
    internal uint Epoch(int page) => Volatile.Read(ref _epoch[page]);

    /// <summary>
    /// Makes the entry valid. The caller holds it exclusively; VALID is written last, together with all other flags.
    /// </summary>
    internal void Set(int page, PageType type, SecInfoFlags state, ulong address, int secs, bool blocked = false, uint epoch = 0)
    {
        _type[page] = type;
        _address[page] = address;
        _secs[page] = secs;
        _epoch[page] = epoch;
        EntryFlags flags = Of(state) | EntryFlags.Valid;
        Volatile.Write(ref Raw(page), (byte)(blocked ? flags | EntryFlags.Blocked : flags));
    }

    /// <summary>Makes the entry invalid. The caller holds it exclusively.</summary>
    internal void Clear(int page) => Volatile.Write(ref Raw(page), (byte)EntryFlags.None);

    /// <summary>Sets BLOCKED at <paramref name="epoch"/>; false if it was set already. The caller uses the tracking.</summary>
    internal bool TryBlock(int page, uint epoch)
    {
        EntryFlags before = Update(page, set: EntryFlags.Blocked, clear: EntryFlags.None);
        if ((before & EntryFlags.Blocked) != 0)
        {
            return false;
        }

        Volatile.Write(ref _epoch[page], epoch);
        return true;
    }

    /// <summary>
    /// EMODPR: takes away all permissions but <paramref name="permissions"/> and sets PR. The caller may modify the entry and uses
    /// the tracking.
    /// </summary>
    internal void Restrict(int page, SecInfoFlags permissions, uint epoch)
    {
        Update(page, set: EntryFlags.PermissionRestricted, clear: Of(~permissions & SecInfoFlags.RWX));
        Volatile.Write(ref _epoch[page], epoch);
    }

    /// <summary>EMODPE: adds permissions. The caller may modify the entry.</summary>
    internal void Extend(int page, SecInfoFlags permissions) =>
        Update(page, set: Of(permissions & SecInfoFlags.RWX), clear: EntryFlags.None);

    /// <summary>
    /// EMODT: another type, no permissions, MODIFIED. The caller holds the entry exclusively and uses the tracking.
    /// </summary>
    internal void Retype(int page, PageType type, uint epoch)
    {
        Volatile.Write(ref _epoch[page], epoch);
        _type[page] = type;
        Update(page, set: EntryFlags.Modified, clear: Of(SecInfoFlags.RWX) | EntryFlags.PermissionRestricted);
    }

    /// <summary>EACCEPT: nothing is left to be accepted. The caller may modify the entry.</summary>
    internal void Accept(int page) =>
        Update(
            page,
            set: EntryFlags.None,
            clear: EntryFlags.Pending | EntryFlags.Modified | EntryFlags.PermissionRestricted);

    /// <summary>EACCEPTCOPY: the page is no longer pending and gets new permissions. The caller may modify the entry.</summary>
    internal void Accept(int page, SecInfoFlags permissions) =>
        Update(page, set: Of(permissions & SecInfoFlags.RWX), clear: EntryFlags.Pending | Of(SecInfoFlags.RWX));

    /// <summary>Takes the entry exclusively, or says at once that somebody has it.</summary>
    internal bool TryLockExclusive(int page) => SharedLock.TryLockExclusive(ref _lock[page]);

    /// <summary>Gives back what <see cref="TryLockExclusive"/> took.</summary>
    internal void UnlockExclusive(int page) => SharedLock.UnlockExclusive(ref _lock[page]);

    /// <summary>Takes the entry together with other sharers, or says at once that somebody has it exclusively.</summary>
    internal bool TryLockShared(int page) => SharedLock.TryLockShared(ref _lock[page]);

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
    internal void UnlockShared(int page) => SharedLock.UnlockShared(ref _lock[page]);

    /// <summary>
    /// EACCEPT, EACCEPTCOPY, EMODPE, EMODPR and EMODT exclude each other on one page, while they share it with other leaves: takes
    /// that right, or says at once that it is taken. The caller shares the entry or holds it exclusively.
    /// </summary>
    internal bool TryBeginModifying(int page) => Interlocked.CompareExchange(ref _modifying[page], 1, 0) == 0;

    /// <summary>Gives back what <see cref="TryBeginModifying"/> took.</summary>
    internal void EndModifying(int page) => Volatile.Write(ref _modifying[page], 0);

    /// <summary>Changes flags in one step, because sharers of an entry may change different ones of them.</summary>
    /// <returns>The flags before.</returns>
    private EntryFlags Update(int page, EntryFlags set, EntryFlags clear)
    {
        ref byte raw = ref Raw(page);
        byte seen = Volatile.Read(ref raw);
        while (true)
        {
            byte next = (byte)(((EntryFlags)seen & ~clear) | set);
            byte before = Interlocked.CompareExchange(ref raw, next, seen);
            if (before == seen)
            {
                return (EntryFlags)before;
            }

            seen = before;
        }
    }

    private static EntryFlags Of(SecInfoFlags state) => (EntryFlags)(byte)(state & StateMask);

    private ref byte Raw(int page) => ref _flags[page];

    private bool Has(int page, EntryFlags flag) => (Volatile.Read(ref Raw(page)) & (byte)flag) != 0;
}
