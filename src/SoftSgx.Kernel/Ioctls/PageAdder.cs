using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>
/// Adds pages to an enclave that is being built: what ADD_PAGES and v22's ADD_PAGE have in common.
/// Behaviour: sgx_encl_add_page in arch/x86/kernel/cpu/sgx/ioctl.c.
/// </summary>
/// <param name="enclave">The enclave, created and not initialised.</param>
/// <param name="secInfo">SECINFO of all pages; checked by <see cref="IsValid"/>.</param>
/// <param name="memory">Where the contents come from.</param>
/// <param name="buffer">4096 bytes to copy through: the program must not change what the processor sees.</param>
/// <param name="abi">The interface to which the ioctl belongs.</param>
internal ref struct PageAdder(Enclave enclave, in SecInfo secInfo, IUserMemory memory, Span<byte> buffer, DeviceAbi abi)
{
    /// <summary>Measures the whole page: one bit for each 256 bytes.</summary>
    public const ushort WholePage = 0xFFFF;

    private const int MeasuredBlock = 256;
    private const int MeasuredBlocks = EpcPool.PageSize / MeasuredBlock;

    private readonly Enclave _enclave = enclave;
    private readonly SecInfo _secInfo = secInfo;
    private readonly IUserMemory _memory = memory;
    private readonly ISecurityModule? _security = enclave.Subsystem.Options.Security;
    private readonly Span<byte> _buffer = buffer;
    private readonly Errno _leafFailure = abi == DeviceAbi.V22 ? Errno.EFAULT : Errno.EIO;
    private readonly Errno _exists = abi == DeviceAbi.V22 ? Errno.EEXIST : Errno.EBUSY;
    private readonly bool _needsExecutableSource = abi == DeviceAbi.Mainline || (secInfo.Permissions & SecInfoFlags.X) != 0;
    private SourceMapping _mapping;

    /// <summary>Bytes that the ioctl still wants to add, this page included: what the security module is asked for at once.</summary>
    public ulong Remaining { get; set; } = EpcPool.PageSize;

    /// <summary>An EEXTEND failed: the page was removed, but MRENCLAVE is not what its builder expects.</summary>
    public bool IsMeasurementBroken { get; private set; }

    /// <summary>
    /// The kernel's rules for SECINFO: a REG or TCS page; no W without R; a TCS without permissions, which the processor
    /// would drop after measuring them; nothing reserved, the state bits included.
    /// </summary>
    public static bool IsValid(in SecInfo secInfo)
    {
        const SecInfoFlags Known = SecInfoFlags.RWX | SecInfoFlags.PageTypeMask;
        if (secInfo.PageType is not (PageType.PT_REG or PageType.PT_TCS))
        {
            return false;
        }

        if ((secInfo.Flags & (SecInfoFlags.R | SecInfoFlags.W)) == SecInfoFlags.W)
        {
            return false;
        }

        if (secInfo.PageType == PageType.PT_TCS && secInfo.Permissions != 0)
        {
            return false;
        }

        return (secInfo.Flags & ~Known) == 0 && Bytes.IsZero(in secInfo.Reserved);
    }

    /// <summary>Adds one page and measures it.</summary>
    /// <param name="offset">Offset from the enclave's base, aligned and within the enclave.</param>
    /// <param name="source">Address of the contents.</param>
    /// <param name="measure">Bit i: measure the 256 bytes at 256 · i.</param>
    /// <returns>
    /// ENOMEM: no EPC page is free or reclaimable. EBUSY (v22: EEXIST): the page exists. EFAULT: the source is not mapped or cannot be read. EACCES: it lies
    /// on a noexec file system, which v22 minds for executable pages only, or the security module refuses. EIO (v22: EFAULT): EADD or
    /// EEXTEND failed. Nothing of the page remains after an error.
    /// </returns>
    public Errno Add(ulong offset, ulong source, ushort measure)
    {
        EpcPool pool = _enclave.Subsystem.Pool;
        if (!_enclave.Subsystem.TryAllocateEpcPage(_secInfo.PageType, out int epcPage))
        {
            return Errno.ENOMEM;
        }

        Errno errno = _enclave.VersionArrays.Grow(out int versionArray);
        if (errno != Errno.None)
        {
            pool.Return(epcPage);
            return errno;
        }

        errno = Add(offset, source, measure, epcPage, versionArray);
        if (errno != Errno.None)
        {
            _enclave.VersionArrays.Undo(versionArray);
            pool.Return(epcPage);
        }

        return errno;
    }

    private Errno Add(ulong offset, ulong source, ushort measure, int epcPage, int versionArray)
    {
        if (_enclave.HasPage(offset))
        {
            return _exists;
        }

        // Not under the enclave's lock: the source may itself be memory whose faults somebody serves under that lock.
        // No page can appear meanwhile, as the enclave grows only by this ioctl until it is initialised.
        Errno errno = CopyIn(offset, source, measure);
        if (errno != Errno.None)
        {
            return errno;
        }

        lock (_enclave.Lock)
        {
            if (_enclave.IsDead)
            {
                return Errno.EBADF;
            }

            errno = AddAndMeasure(offset, measure, epcPage);
            if (errno == Errno.None)
            {
                // Only now that the page stays: from here on the reclaimer may take slots and evict.
                _enclave.VersionArrays.Add(versionArray);
                _enclave.OnAdded(epcPage, offset);
            }

            return errno;
        }
    }

    private Errno CopyIn(ulong offset, ulong source, ushort measure)
    {
        bool isNew = !_mapping.Contains(source);
        if (isNew)
        {
            _mapping = _memory.FindMapping(source);
        }

        if (!_mapping.Exists)
        {
            return Errno.EFAULT;
        }

        if (_needsExecutableSource && !_mapping.MayExecute)
        {
            return Errno.EACCES;
        }

        if (isNew && _security is not null)
        {
            Errno errno = AskSecurity(_security, offset, source, measure);
            if (errno != Errno.None)
            {
                _mapping = default;
                return errno;
            }
        }

        return _memory.TryRead(source, _buffer) ? Errno.None : Errno.EFAULT;
    }

    /// <summary>All pages of an ioctl that come from one mapping are alike to a policy: it is asked once for them.</summary>
    private readonly Errno AskSecurity(ISecurityModule security, ulong offset, ulong source, ushort measure)
    {
        // Linux takes the first mapping that ends above the address, so this one may begin behind it.
        ulong inMapping = _mapping.Contains(source) ? _mapping.End - source : EpcPool.PageSize;
        var load = new PageLoad
        {
            Address = _enclave.Base + offset,
            Length = Math.Min(Remaining, inMapping),
            Protection = (PageProtection)_secInfo.Permissions & PageProtection.Access,
            IsMeasured = measure == WholePage,
            SourceAddress = source,
            Source = _mapping,
            Memory = _memory,
        };
        return security.Load(_enclave, in load);
    }

    private Errno AddAndMeasure(ulong offset, ushort measure, int epcPage)
    {
        var page = new EnclavePage(offset, epcPage, _secInfo.PageType, MaximumOf(in _secInfo))
        {
            IsPrivate = _secInfo.PageType == PageType.PT_TCS,
        };
        IEncls encls = _enclave.Subsystem.Encls;

        // EADD changes MRENCLAVE and cannot be undone, so everything else that may fail comes first.
        _enclave.Attach(in page);
        if (!encls.EAdd(_buffer, in _secInfo, _enclave.Base + offset, _enclave.SecsPage, epcPage).IsSuccess)
        {
            _enclave.Detach(in page);
            return _leafFailure;
        }

        for (int block = 0; block < MeasuredBlocks; block++)
        {
            if ((measure >> block & 1) != 0 && !encls.EExtend(_enclave.SecsPage, epcPage, block * MeasuredBlock).IsSuccess)
            {
                IsMeasurementBroken = true;
                encls.ERemove(epcPage);
                _enclave.Detach(in page);
                return _leafFailure;
            }
        }

        return Errno.None;
    }

    private static PageProtection MaximumOf(in SecInfo secInfo)
        => secInfo.PageType == PageType.PT_TCS
            ? PageProtection.Read | PageProtection.Write // a mapping must allow the processor itself to reach it
            : (PageProtection)secInfo.Permissions;
}
