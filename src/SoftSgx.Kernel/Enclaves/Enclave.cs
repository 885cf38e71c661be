using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel;

/// <summary>
/// One opener of the enclave device and the enclave that it builds: state, ioctls, end of life.
/// The counterpart of struct sgx_encl in arch/x86/kernel/cpu/sgx/encl.h.
/// </summary>
/// <remarks>
/// <code>
///   opened ── CREATE ──► created ── ADD_PAGES … ── INIT ──► initialised
///      └─────────┬──────────┴──────────────┬──────────────────┘
///             Release: dead, every EPC page back in the pool
/// </code>
/// Thread-safe. What the enclave is mapped as and where its pages are stands in Enclave.Mapping.cs.
/// </remarks>
public sealed partial class Enclave
{
    // What Linux allows every enclave (SGX_ATTR_UNPRIV_MASK). EINITTOKEN_KEY is in no mask: nobody can have it allowed.
    private const AttributeFlags UnprivilegedAttributes =
        AttributeFlags.DEBUG | AttributeFlags.MODE64BIT | AttributeFlags.KSS | AttributeFlags.AEXNOTIFY;

    private const int NoPage = -1;

    private readonly IEnclaveInode _inode;
    private readonly PageMap _pages = new();
    private int _ioctlInProgress;
    private volatile bool _created;
    private volatile bool _initialized;
    private volatile bool _dead;
    private volatile bool _builtByAddPage;
    private bool _inodeDisposed;
    private int _resident; // REG and TCS pages in the EPC
    private int _report = -1;

    internal Enclave(SgxSubsystem subsystem, IEnclaveInode inode, DeviceAbi abi)
    {
        Subsystem = subsystem;
        _inode = inode;
        Abi = abi;
        VersionArrays = new VersionArrays(subsystem);
        _backing = new BackingStore(subsystem.Platform);
        Id = subsystem.Enclaves.Add(this);
    }

    /// <summary>Names the enclave in <see cref="SgxSubsystem.Enclaves"/> as long as it has pages.</summary>
    internal int Id { get; }

    /// <summary>The number under which statistics and traces know the enclave: from 1, in the order of creation; 0 for none.</summary>
    public int Number => _report + 1;

    /// <summary>The interface that the opener expects.</summary>
    public DeviceAbi Abi { get; }

    /// <summary>CREATE succeeded: there is a SECS, and <see cref="Base"/> and <see cref="Size"/> are known.</summary>
    public bool IsCreated => _created;

    /// <summary>INIT succeeded: the enclave can be entered.</summary>
    public bool IsInitialized => _initialized;

    /// <summary>The enclave was released or destroyed and has no pages any more.</summary>
    public bool IsDead => _dead;

    /// <summary>
    /// The enclave gets its pages by v22's ADD_PAGE, so the rules of v22 hold for mappings and faults, and SGX2 does not exist. The
    /// path of the device does not tell: programs of today find the mainline device there.
    /// </summary>
    public bool IsBuiltByAddPage => _builtByAddPage;

    /// <summary>
    /// No access finds a page, the processor's own included: built by v22's ADD_PAGE and not initialised. On mainline the pages of
    /// such an enclave can be touched.
    /// </summary>
    public bool IsOutOfReach => _builtByAddPage && !_initialized;

    /// <summary>
    /// Linear address at which ELRANGE starts. 0 is a valid one: ask <see cref="IsCreated"/>.
    /// </summary>
    public ulong Base { get; private set; }

    /// <summary>Size of ELRANGE in bytes, a power of two.</summary>
    public ulong Size { get; private set; }

    /// <summary>Index of the EPC page that holds the SECS; −1 before CREATE, while it is swapped out, and after the end.</summary>
    public int SecsPage { get; private set; } = NoPage;

    /// <summary>ATTRIBUTES of the SECS as the builder gave them.</summary>
    public AttributeFlags Attributes { get; private set; }

    /// <summary>SECS.ATTRIBUTES.XFRM: what of the extended state an asynchronous exit saves. Zero before CREATE.</summary>
    public ulong Xfrm { get; private set; }

    /// <summary>Attributes that INIT lets the enclave have.</summary>
    public AttributeFlags AllowedAttributes { get; private set; } = UnprivilegedAttributes;

    /// <summary>Number of REG and TCS pages, those that are swapped out included.</summary>
    public int PageCount
    {
        get
        {
            lock (Lock)
            {
                return _pages.Count;
            }
        }
    }

    /// <summary>The subsystem that the enclave belongs to.</summary>
    internal SgxSubsystem Subsystem { get; }

    /// <summary>The enclave's lock: guards pages and state. See the project's README for the order of locks.</summary>
    internal Lock Lock { get; } = new();

    /// <summary>What the security module keeps of the enclave. Set once, under the lock.</summary>
    internal object? SecurityState { get; set; }

    /// <summary>The enclave's version arrays.</summary>
    internal VersionArrays VersionArrays { get; }

    /// <summary>Executes an ioctl.</summary>
    /// <param name="command">Command number, see <see cref="IoctlTable"/>.</param>
    /// <param name="argument">The argument: an address in <paramref name="memory"/>, any value.</param>
    /// <param name="memory">The caller's memory.</param>
    /// <param name="files">The caller's open files.</param>
    /// <param name="lp">The logical processor that the call runs on; INIT writes its launch-control registers.</param>
    /// <returns>
    /// <see cref="Errno.None"/> or what the command's handler says. EBUSY: another ioctl on this opener is in progress. ENOTTY:
    /// no such command. EBADF: released (EFAULT: destroyed by a failure, <see cref="DeviceAbi.V22"/> only).
    /// </returns>
    public Errno Ioctl(uint command, ulong argument, IUserMemory memory, IFileTable files, LogicalProcessor lp)
    {
        if (Interlocked.Exchange(ref _ioctlInProgress, 1) != 0)
        {
            return Errno.EBUSY;
        }

        try
        {
            if (_dead)
            {
                return Abi == DeviceAbi.V22 ? Errno.EFAULT : Errno.EBADF;
            }

            IoctlEntry? entry = IoctlTable.Find(command, Abi);
            return entry is null ? Errno.ENOTTY : entry.Handler(this, argument, new IoctlCall(memory, files, lp));
        }
        finally
        {
            Volatile.Write(ref _ioctlInProgress, 0);
        }
    }

    /// <summary>
    /// Ends the enclave once its last reference, descriptor or mapping, is gone: removes its pages from the EPC, children
    /// first, then the SECS, then the version arrays, and disposes of the inode. Does nothing the second time. Waits for an
    /// ioctl in progress, which holds a reference of its own in a kernel.
    /// </summary>
    /// <remarks>
    /// The caller sees to it that no thread is inside. Should one be, EREMOVE refuses and the pages concerned stay until the next
    /// call: nothing is handed out that a thread may still be using.
    /// </remarks>
    public void Release()
    {
        Subsystem.Reclaimer.OnDying(1);
        _dead = true; // an ioctl in progress ends at its next page, and so does the reclaimer
        Subsystem.Reach(SchedulingPoint.Release);
        TakeIoctlFlag();
        try
        {
            lock (Lock)
            {
                RemoveAllPages();
                if (!_inodeDisposed && _pages.Count == 0)
                {
                    _inodeDisposed = true;
                    _inode.Dispose();
                    _backing.Release();
                    _spaces = [];
                    Subsystem.OnEnded(this, _report);
                    Subsystem.Enclaves.Remove(Id);
                }
            }
        }
        finally
        {
            Subsystem.Reclaimer.OnDying(-1);
            Volatile.Write(ref _ioctlInProgress, 0);
        }
    }

    /// <summary>Removes all pages although the opener is still there.</summary>
    internal void Destroy()
    {
        lock (Lock)
        {
            RemoveAllPages();
        }
    }

    /// <summary>ECREATE succeeded: sets the inode's size, takes over the SECS page and is created.</summary>
    /// <returns>
    /// <see langword="false"/>, with nothing changed, if the inode cannot have the size or the enclave was released meanwhile.
    /// </returns>
    internal bool TryBegin(in Secs secs, int secsPage, int versionArray)
    {
        lock (Lock)
        {
            if (_dead || !_inode.TrySetSize(secs.EnclaveSize))
            {
                return false;
            }

            VersionArrays.Add(versionArray);
            _backing.SetSize(secs.EnclaveSize);
            Base = secs.BaseAddress;
            Size = secs.EnclaveSize;
            SecsPage = secsPage;
            Attributes = secs.Attributes.Flags;
            Xfrm = secs.Attributes.Xfrm;
            AllowedAttributes = Abi == DeviceAbi.V22
                ? AllowedAttributes | UnprivilegedAttributes
                : UnprivilegedAttributes;
            _created = true; // last: from here on others read the rest without a lock
            _report = Subsystem.OnCreated(this);
            return true;
        }
    }

    /// <summary>INIT succeeded. Under the lock.</summary>
    internal void OnInitialized()
    {
        _initialized = true;
        MrEnclave = Subsystem.Processor.SecsOf(SecsPage).MrEnclave;
    }

    /// <summary>MRENCLAVE; zeros before INIT.</summary>
    internal Hash256 MrEnclave { get; private set; }

    /// <summary>Lets the enclave have an attribute.</summary>
    internal void Allow(AttributeFlags attribute) => AllowedAttributes |= attribute;

    /// <summary>The builder uses v22's ADD_PAGE: <see cref="IsBuiltByAddPage"/>.</summary>
    internal void OnAddPage() => _builtByAddPage = true;

    /// <summary>There is a page at an offset.</summary>
    internal bool HasPage(ulong offset)
    {
        lock (Lock)
        {
            return _pages.TryFind(offset / EpcPool.PageSize, out _);
        }
    }

    /// <summary>Enters a new page into the page map and gives it a place for its contents. Under the lock.</summary>
    internal void Attach(in EnclavePage page)
    {
        if (!_pages.TryAdd(in page))
        {
            throw new InvalidOperationException($"The enclave has a page at offset 0x{page.Offset:x} already.");
        }

        _resident++;

        if (page.IsPrivate)
        {
            Subsystem.Platform.AttachPrivate(page.EpcPage);
        }
        else
        {
            _inode.InsertPage(page.EpcPage, page.Offset);
        }
    }

    /// <summary>Undoes <see cref="Attach"/>; the EPC page stays allocated. Under the lock.</summary>
    internal void Detach(in EnclavePage page)
    {
        if (page.IsPrivate)
        {
            Subsystem.Platform.DetachPrivate(page.EpcPage);
        }
        else
        {
            _inode.RemovePage(page.EpcPage, page.Offset);
        }

        _resident--;
        _pages.Remove(page.Offset / EpcPool.PageSize);
    }

    private void TakeIoctlFlag()
    {
        SpinWait wait = default;
        while (Interlocked.Exchange(ref _ioctlInProgress, 1) != 0)
        {
            if (Subsystem.Options.Scheduler is { } scheduler)
            {
                scheduler.WaitUntil(() => Volatile.Read(ref _ioctlInProgress) == 0);
            }
            else
            {
                wait.SpinOnce();
            }
        }
    }

    // Pages that are marked or detached by the reclaimer are no exception: it finds them gone. What is swapped out is only forgotten.
    private void RemoveAllPages()
    {
        _dead = true;
        _beingReclaimed.Clear();
        PageMap.Cursor cursor = _pages.Walk();
        ulong index = cursor.Next(0, out EnclavePage page);
        while (index != PageMap.None)
        {
            if (!page.IsResident)
            {
                _pages.Remove(index);
            }
            else
            {
                Subsystem.Reclaimer.Remove(page.EpcPage);
                if (Subsystem.Encls.ERemove(page.EpcPage).IsSuccess)
                {
                    Detach(in page);
                    Subsystem.Pool.Return(page.EpcPage);
                }
            }

            index = cursor.Next(index + 1, out page);
        }

        if (SecsPage != NoPage && _pages.Count == 0 && Subsystem.Encls.ERemove(SecsPage).IsSuccess)
        {
            Subsystem.Platform.DetachPrivate(SecsPage);
            Subsystem.Pool.Return(SecsPage);
            SecsPage = NoPage;
        }

        if (SecsPage == NoPage && _pages.Count == 0)
        {
            VersionArrays.Clear();
            _evictedSecs = null;
        }

        Subsystem.Reclaimer.OnReleased();
    }
}
