using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests.Concurrency;

/// <summary>
/// What must hold between leaves, whatever ran at the same time. Nothing may be executing while it is checked.
/// </summary>
/// <remarks>
/// <code>
///  1  every lock is free: entries, the right to modify an entry, measurement and tracking of every enclave
///  2  a valid page of an enclave has a valid SECS, and lies in that enclave's address range
///  3  an enclave has as many children as there are valid pages of it
///  4  an enclave has state exactly while its SECS is valid, and both agree whether it is initialised
///  5  BLOCKED, PENDING, MODIFIED and PR only on pages of enclaves; PENDING never with MODIFIED; a TCS has no permissions
///  6  no version is in two slots: no evicted page can come back in two places
///  7  a logical processor is inside by a page that still belongs to an initialised enclave
///  8  a TCS is busy exactly while one logical processor is inside by it
///  9  an enclave counts as many threads inside as there are, and none of them came in a future epoch
/// </code>
/// </remarks>
internal static class EpcmInvariants
{
    public static void Check(SgxProcessor processor, IReadOnlyList<LogicalProcessor> logicals)
    {
        Epcm epcm = processor.Epcm;
        Dictionary<int, int> children = [];
        HashSet<ulong> versions = [];
        for (int page = 0; page < epcm.PageCount; page++)
        {
            LocksAreFree(epcm, page);
            bool isSecs = epcm.IsValid(page) && epcm.TypeOf(page) == PageType.PT_SECS;
            Assert.True(processor.StateOf(page) is not null == isSecs, $"page {page}: state without SECS, or SECS without state");
            if (!epcm.IsValid(page)) continue;

            switch (epcm.TypeOf(page))
            {
                case PageType.PT_SECS:
                    children.TryAdd(page, 0);
                    SecsIsSound(processor, page);
                    break;

                case PageType.PT_VA:
                    IsUnmarked(epcm, page);
                    foreach (ulong version in MemoryMarshal.Cast<byte, ulong>(processor.Frames.Frame(page)))
                    {
                        Assert.True(version == 0 || versions.Add(version), $"version {version} is in two slots");
                    }

                    break;

                default:
                    ChildIsSound(processor, page, logicals);
                    int secs = epcm.EnclaveSecs(page);
                    children[secs] = children.GetValueOrDefault(secs) + 1;
                    break;
            }
        }

        foreach ((int secs, int count) in children)
        {
            EnclaveState enclave = processor.StateOf(secs);
            Assert.True(enclave.Children == count, $"enclave {secs} counts {enclave.Children} children and has {count}");
            int inside = logicals.Count(logical => logical.InEnclave && logical.ActiveSecs == secs);
            Assert.True(enclave.ThreadsInside == inside, $"enclave {secs} counts {enclave.ThreadsInside} threads and has {inside}");
        }

        foreach (LogicalProcessor logical in logicals.Where(logical => logical.InEnclave))
        {
            Assert.True(children.ContainsKey(logical.ActiveSecs), "a thread is inside an enclave that is gone");
            Assert.True(processor.StateOf(logical.ActiveSecs).IsInitialized, "a thread is inside an enclave that is not initialised");
            Assert.True(epcm.IsValid(logical.ActiveTcs), "a thread is inside by a TCS that is gone");
            Assert.True(epcm.EnclaveSecs(logical.ActiveTcs) == logical.ActiveSecs, "a thread is inside by a TCS of another enclave");
            Assert.True(epcm.TypeOf(logical.ActiveTcs) is PageType.PT_TCS or PageType.PT_TRIM, "a thread is inside by a page that is no TCS");
            Assert.Equal(Tcs.Active, processor.TcsOf(logical.ActiveTcs).State);
        }
    }

    private static void LocksAreFree(Epcm epcm, int page)
    {
        Assert.True(epcm.TryLockExclusive(page), $"the entry of page {page} is still locked");
        epcm.UnlockExclusive(page);
        Assert.True(epcm.TryBeginModifying(page), $"the entry of page {page} is still being modified");
        epcm.EndModifying(page);
    }

    private static void SecsIsSound(SgxProcessor processor, int page)
    {
        IsUnmarked(processor.Epcm, page);
        EnclaveState enclave = processor.StateOf(page);
        ref readonly Secs secs = ref processor.SecsOf(page);
        Assert.Equal((secs.Attributes.Flags & AttributeFlags.INIT) != 0, enclave.IsInitialized);
        Assert.Equal(secs.BaseAddress, enclave.BaseAddress);
        Assert.True(enclave.TryBeginMeasuring(), $"enclave {page} is still being measured");
        enclave.EndMeasuring();
        Assert.True(enclave.TryUpdateTracking(), $"the tracking of enclave {page} is still in use");
        enclave.EndUpdateTracking();
    }

    private static void IsUnmarked(Epcm epcm, int page)
    {
        bool marked = epcm.IsBlocked(page) || epcm.IsPending(page) || epcm.IsModified(page) || epcm.IsPermissionRestricted(page);
        Assert.False(marked, $"page {page}, a {epcm.TypeOf(page)}, is marked");
        Assert.Equal(SecInfoFlags.None, epcm.Permissions(page));
    }

    private static void ChildIsSound(SgxProcessor processor, int page, IReadOnlyList<LogicalProcessor> logicals)
    {
        Epcm epcm = processor.Epcm;
        int secs = epcm.EnclaveSecs(page);
        Assert.True(epcm.IsValid(secs) && epcm.TypeOf(secs) == PageType.PT_SECS, $"page {page} belongs to page {secs}, which is no SECS");
        ref readonly Secs control = ref processor.SecsOf(secs);
        Assert.True(epcm.EnclaveAddress(page) - control.BaseAddress < control.EnclaveSize, $"page {page} lies outside of its enclave");
        Assert.False(epcm.IsPending(page) && epcm.IsModified(page), $"page {page} is both pending and modified");
        if (epcm.TypeOf(page) != PageType.PT_TCS) return;

        Assert.Equal(SecInfoFlags.None, epcm.Permissions(page));
        int users = logicals.Count(logical => logical.InEnclave && logical.ActiveTcs == page);
        Assert.True(users <= 1, $"{users} threads are inside by TCS {page}");

        // A page that EMODT makes a TCS holds whatever it held; EACCEPT is what refuses one that looks busy.
        if (epcm.IsModified(page)) return;
        Assert.True(processor.TcsOf(page).State == Tcs.Active == (users == 1), $"TCS {page}: STATE {processor.TcsOf(page).State}, {users} inside");
    }
}
