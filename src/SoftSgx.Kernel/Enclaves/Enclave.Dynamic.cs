using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel;

/// <content>
/// What SGX2 does to the pages of an enclave that runs: pages that come when they are touched, change permissions or type, and go.
/// Behaviour: sgx_encl_eaug_page in arch/x86/kernel/cpu/sgx/encl.c, and the ioctls in ioctl.c.
/// </content>
/// <remarks>
/// The EPCM decides who reaches a page, and the host's page tables have to say the same: a page that waits for EACCEPT, and a trimmed
/// one, has its contents in a private frame, so it is in no address space; one with fewer permissions than before is restricted in every
/// address space. A page that a logical processor inside holds by its physical address (its TCS, its SSA frame) is busy: EAGAIN.
/// </remarks>
public sealed partial class Enclave
{
    // A page on its way out comes back within a batch or two; after so many the program may try again itself.
    private const int MaximumWaits = 16;

    private static readonly PageChange s_restrict =
        static (Enclave enclave, in EnclavePage page, ulong permissions, out SgxError result) =>
            enclave.Restrict(in page, (SecInfoFlags)permissions, out result);

    private static readonly PageChange s_modify =
        static (Enclave enclave, in EnclavePage page, ulong type, out SgxError result) =>
            enclave.Modify(in page, (PageType)type, out result);

    private static readonly PageChange s_remove = static (Enclave enclave, in EnclavePage page, ulong _, out SgxError result) =>
    {
        result = SgxError.SGX_SUCCESS;
        return enclave.Remove(in page);
    };

    private delegate Errno PageChange(Enclave enclave, in EnclavePage page, ulong argument, out SgxError result);

    /// <summary>EMODPR on one page.</summary>
    /// <param name="offset">Offset of the page.</param>
    /// <param name="permissions">What remains at most.</param>
    /// <param name="result">The error code of EMODPR, if it gave one.</param>
    /// <returns>EAGAIN, EINVAL, EFAULT: see <see cref="RestrictPermissions"/>.</returns>
    internal Errno RestrictPermissions(ulong offset, SecInfoFlags permissions, out SgxError result)
        => Change(offset, s_restrict, (ulong)permissions, out result);

    /// <summary>EMODT on one page.</summary>
    /// <param name="offset">Offset of the page.</param>
    /// <param name="type">PT_TCS or PT_TRIM.</param>
    /// <param name="result">The error code of EMODT, if it gave one.</param>
    /// <returns>EAGAIN, EINVAL, EPERM, EFAULT: see <see cref="ModifyTypes"/>.</returns>
    internal Errno ModifyType(ulong offset, PageType type, out SgxError result) => Change(offset, s_modify, (ulong)type, out result);

    /// <summary>EREMOVE of one trimmed page.</summary>
    /// <param name="offset">Offset of the page.</param>
    /// <returns>EAGAIN, EBUSY, EPERM, EFAULT: see <see cref="RemovePages"/>.</returns>
    internal Errno RemoveTrimmed(ulong offset) => Change(offset, s_remove, 0, out _);

    /// <summary>A leaf of ENCLU that changes EPCM entries succeeded on the page at an address. Under the lock.</summary>
    internal void OnAccepted(ulong address)
    {
        ulong offset = unchecked(address - Base) & ~(EpcPool.PageSize - 1UL);
        if (!_pages.TryFind(offset / EpcPool.PageSize, out EnclavePage page) || !page.IsResident || page.IsLost)
        {
            return;
        }

        Epcm epcm = Subsystem.Processor.Epcm;
        bool isUsable = page.Type == PageType.PT_REG && !epcm.IsPending(page.EpcPage) && !epcm.IsModified(page.EpcPage);
        if (page.IsPrivate && isUsable)
        {
            MakePublic(in page);
        }
    }

    /// <summary>
    /// Loads a page and changes it. Linux answers EAGAIN at once if the page is on its way out; here its way is longer, so a short wait
    /// comes first.
    /// </summary>
    private Errno Change(ulong offset, PageChange change, ulong argument, out SgxError result)
    {
        result = SgxError.SGX_SUCCESS;
        for (int wait = 0; ; wait++)
        {
            long seen = Subsystem.Reclaimer.Progress;
            lock (Lock)
            {
                Errno errno = LoadForIoctl(offset, out EnclavePage page);
                if (errno == Errno.None)
                {
                    return change(this, in page, argument, out result);
                }

                if (errno != Errno.EAGAIN || wait == MaximumWaits)
                {
                    return errno;
                }
            }

            if (!Subsystem.Reclaimer.WaitForProgress(seen, SgxSubsystem.Patience))
            {
                return Errno.EAGAIN;
            }
        }
    }

    private Errno Restrict(in EnclavePage page, SecInfoFlags permissions, out SgxError result)
    {
        result = SgxError.SGX_SUCCESS;
        if (page.Type != PageType.PT_REG)
        {
            return Errno.EINVAL;
        }

        if (IsHeld(page.EpcPage))
        {
            return Errno.EAGAIN;
        }

        LeafResult leaf = Subsystem.Encls.EModPr(SecInfo.For(PageType.PT_SECS, permissions), page.EpcPage);
        if (!leaf.IsSuccess)
        {
            result = leaf.Status == LeafStatus.Error ? leaf.Error : SgxError.SGX_SUCCESS;
            return Errno.EFAULT;
        }

        PageProtection epcm = StateOf(in page);
        foreach (IEnclaveAddressSpace space in _spaces)
        {
            space.Restrict(page.Offset, epcm);
        }

        TrackAll();
        return Errno.None;
    }

    private Errno Modify(in EnclavePage page, PageType type, out SgxError result)
    {
        const PageProtection ReadWrite = PageProtection.Read | PageProtection.Write;
        result = SgxError.SGX_SUCCESS;
        if (page.Type != PageType.PT_REG && (page.Type != PageType.PT_TCS || type != PageType.PT_TRIM))
        {
            return Errno.EINVAL;
        }

        bool becomesTcs = page.Type == PageType.PT_REG && type == PageType.PT_TCS;
        if (becomesTcs && (page.Maximum & ReadWrite) != ReadWrite)
        {
            return Errno.EPERM;
        }

        if (IsHeld(page.EpcPage))
        {
            return Errno.EAGAIN;
        }

        LeafResult leaf = Subsystem.Encls.EModT(SecInfo.For(type, SecInfoFlags.None), page.EpcPage);
        if (!leaf.IsSuccess)
        {
            result = leaf.Status == LeafStatus.Error ? leaf.Error : SgxError.SGX_SUCCESS;
            return Errno.EFAULT;
        }

        MakePrivate(page with { Type = type, Maximum = becomesTcs ? ReadWrite : page.Maximum });
        TrackAll();
        return Errno.None;
    }

    private Errno Remove(in EnclavePage page)
    {
        if (page.Type != PageType.PT_TRIM)
        {
            return Errno.EPERM;
        }

        // EMODPR changes nothing here: it says NOT_MODIFIABLE of a page that is not accepted yet, and #PF of one that is.
        LeafResult leaf = Subsystem.Encls.EModPr(SecInfo.For(PageType.PT_SECS, SecInfoFlags.RWX), page.EpcPage);
        if (leaf.Status != LeafStatus.Fault || leaf.Fault.Kind != ExceptionVector.PF)
        {
            return Errno.EPERM;
        }

        if (!Subsystem.Encls.ERemove(page.EpcPage).IsSuccess)
        {
            return Errno.EBUSY;
        }

        Subsystem.Reclaimer.Remove(page.EpcPage);
        Detach(in page);
        Subsystem.Pool.Return(page.EpcPage);
        VersionArrays.Shrink();
        return Errno.None;
    }

    // A page that is absent in an initialised enclave comes by EAUG and waits for EACCEPT. Enclaves built by v22's ADD_PAGE know nothing of it.
    private FaultOutcome Augment(ulong offset)
    {
        if (!Subsystem.Processor.Configuration.Sgx2 || !_initialized || _builtByAddPage)
        {
            return FaultOutcome.Absent;
        }

        FaultOutcome outcome = SecsPage == NoPage ? LoadSecs() : FaultOutcome.Present;
        if (outcome != FaultOutcome.Present)
        {
            return outcome;
        }

        outcome = Subsystem.TryAllocateForFault(PageType.PT_REG, out int epcPage);
        if (outcome != FaultOutcome.Present)
        {
            return outcome;
        }

        outcome = VersionArrays.GrowForFault();
        if (outcome != FaultOutcome.Present)
        {
            Subsystem.Pool.Return(epcPage);
            return outcome;
        }

        if (Subsystem.Options.Security is { } security && !MayAugment(security, offset))
        {
            VersionArrays.Shrink();
            Subsystem.Pool.Return(epcPage);
            return FaultOutcome.Absent;
        }

        var page = new EnclavePage(offset, epcPage, PageType.PT_REG, PageProtection.Access) { IsPrivate = true, IsAugmented = true };
        Attach(in page);
        if (!Subsystem.Encls.EAug(Base + offset, SecsPage, epcPage).IsSuccess)
        {
            Detach(in page);
            VersionArrays.Shrink();
            Subsystem.Pool.Return(epcPage);
            return FaultOutcome.Absent;
        }

        OnResident(offset / EpcPool.PageSize, epcPage);
        return FaultOutcome.Present;
    }

    // A page without a source: the proposals for security modules would have asked enclave_load for it too.
    private bool MayAugment(ISecurityModule security, ulong offset)
    {
        var load = new PageLoad
        {
            Address = Base + offset,
            Length = EpcPool.PageSize,
            Protection = PageProtection.Access,
            IsAugmented = true,
        };
        return security.Load(this, in load) == Errno.None;
    }

    // What an ioctl needs of a page before it can change it.
    private Errno LoadForIoctl(ulong offset, out EnclavePage page)
    {
        page = default;
        if (_dead)
        {
            return Errno.EBADF;
        }

        if (!_pages.TryFind(offset / EpcPool.PageSize, out page))
        {
            return Errno.EFAULT;
        }

        FaultOutcome outcome = MakePresent(in page, null);
        _pages.TryFind(offset / EpcPool.PageSize, out page);
        return outcome switch
        {
            FaultOutcome.Present => Errno.None,
            FaultOutcome.Retry => Errno.EAGAIN,
            _ => Errno.EFAULT,
        };
    }

    /// <summary>
    /// ETRACK and interrupts: when it returns, nobody uses a translation from before. Behaviour: sgx_enclave_etrack in ioctl.c.
    /// </summary>
    private void TrackAll()
    {
        Track();
        InterruptAll();
    }

    // Takes the contents out of the inode, and so out of all address spaces. The page as it is from now on is given.
    private void MakePrivate(in EnclavePage page)
    {
        if (!page.IsPrivate)
        {
            foreach (IEnclaveAddressSpace space in _spaces)
            {
                space.Zap([page.Offset]);
            }

            _inode.Freeze(page.EpcPage, page.Offset);
            Span<byte> contents = Scratch;
            Subsystem.Platform.Frame(page.EpcPage).CopyTo(contents);
            _inode.RemovePage(page.EpcPage, page.Offset);
            _inode.CompleteRemovals(); // no batch follows, and the enclave must not read the copy
            Subsystem.Platform.AttachPrivate(page.EpcPage);
            contents.CopyTo(Subsystem.Platform.Frame(page.EpcPage));
        }

        _pages.Update(page with { IsPrivate = true });
    }

    private void MakePublic(in EnclavePage page)
    {
        PageProtection epcm = EpcmOf(page.EpcPage);
        foreach (IEnclaveAddressSpace space in _spaces)
        {
            space.Restrict(page.Offset, epcm);
        }

        Span<byte> contents = Scratch;
        Subsystem.Platform.Frame(page.EpcPage).CopyTo(contents);
        Subsystem.Platform.DetachPrivate(page.EpcPage);
        _inode.Stage(page.EpcPage);
        contents.CopyTo(Subsystem.Platform.Frame(page.EpcPage));
        _inode.Publish(page.EpcPage, page.Offset, null);
        _pages.Update(page with { IsPrivate = false });
    }
}
