using SoftSgx.Architecture;
using SoftSgx.Kernel;
using SoftSgx.Processor;

namespace SoftSgx.Simulation;

/// <summary>
/// One enclave of a simulated machine: opener, inode, and the address spaces that map it. Built by the ioctls that a program would
/// use.
/// </summary>
public sealed class SimulatedEnclave
{
    /// <summary>SECS.ATTRIBUTES.XFRM: x87 and SSE.</summary>
    internal const ulong XFrm = 3;

    private static readonly SecInfo s_regular = SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.W);
    private static readonly SecInfo s_tcs = SecInfo.For(PageType.PT_TCS, SecInfoFlags.None);

    private readonly BuilderMemory _memory = new();
    private readonly LogicalProcessor _builder = new();
    private readonly List<SimulatedAddressSpace> _spaces = [];
    private readonly byte[] _noContents = new byte[EpcPool.PageSize];

    internal SimulatedEnclave(SimulatedMachine machine, ulong size)
    {
        Machine = machine;
        Size = size;
        Inode = new SimulatedInode(machine.Epc);
        Kernel = machine.Kernel.Device.Open(Inode, DeviceAbi.Mainline);
        _memory.Write(BuilderMemory.StructureAddress, new Secs
        {
            EnclaveSize = size,
            BaseAddress = BaseAddress,
            SsaFrameSize = 1,
            Attributes = new SgxAttributes(AttributeFlags.MODE64BIT, XFrm),
        });
        Expect(Ioctl(
            _memory, IoctlTable.SGX_IOC_ENCLAVE_CREATE, new SgxEnclaveCreate { Src = BuilderMemory.StructureAddress }));
        AddressSpace = Map();
    }

    /// <summary>Where every enclave lies in its address spaces: a multiple of any size.</summary>
    public const ulong BaseAddress = 1UL << SimulatedMachine.MaximumEnclaveSizeLog2;

    /// <summary>The machine.</summary>
    public SimulatedMachine Machine { get; }

    /// <summary>The kernel's side of it.</summary>
    public Enclave Kernel { get; }

    /// <summary>Where its pages are.</summary>
    public SimulatedInode Inode { get; }

    /// <summary>Size in bytes.</summary>
    public ulong Size { get; }

    /// <summary>The address space of the program that built it.</summary>
    public SimulatedAddressSpace AddressSpace { get; }

    /// <summary>Adds regular pages by ADD_PAGES; not measured.</summary>
    /// <param name="firstPage">Page index of the first.</param>
    /// <param name="pages">How many.</param>
    /// <param name="contents">Makes their contents; zeros if left out.</param>
    /// <returns>What the ioctl answers; the pages before an error were added.</returns>
    public Errno AddPages(ulong firstPage, ulong pages, PageContents? contents = null)
    {
        return AddPages(firstPage, pages, in s_regular, contents);
    }

    /// <summary>Adds a TCS by ADD_PAGES, whose one SSA frame is the page behind it, and that page.</summary>
    /// <param name="page">Page index of the TCS.</param>
    /// <returns>What the ioctl answers.</returns>
    public Errno AddThread(ulong page)
    {
        Tcs tcs = new() { OSsa = (page + 1) * EpcPool.PageSize, NSsa = 1, FsLimit = 0xFFF, GsLimit = 0xFFF };
        Errno errno = AddPages(page, 1, in s_tcs, (_, contents) => Bytes.Of(in tcs).CopyTo(contents));
        return errno == Errno.None ? AddPages(page + 1, 1) : errno;
    }

    /// <summary>Signs what was built so far and finishes it by INIT: threads can enter, pages can be added no longer.</summary>
    /// <returns>What the ioctl answers.</returns>
    public Errno Initialize()
    {
        Hash256 measurement = Machine.Processor.StateOf(Kernel.SecsPage).Measurement.Current();
        SigStruct signed = SimulationSigner.Sign(in measurement, XFrm);
        _memory.Write(BuilderMemory.StructureAddress, in signed);
        return Ioctl(_memory, IoctlTable.SGX_IOC_ENCLAVE_INIT, new SgxEnclaveInit { SigStruct = BuilderMemory.StructureAddress });
    }

    /// <summary>
    /// Adds a page without contents when it is first touched, as a kernel's EAUG would. Only before INIT, and by one thread.
    /// </summary>
    /// <param name="page">Page index.</param>
    /// <returns>ENOMEM if the EPC is full for good.</returns>
    public Errno AddPageOnTouch(ulong page)
    {
        PageAdder adder = new(Kernel, in s_regular, _memory, _noContents, DeviceAbi.Mainline);
        return adder.Add(page * EpcPool.PageSize, BuilderMemory.SourceAddress, measure: 0);
    }

    /// <summary>A process maps the enclave: an address space with empty page tables, as after fork.</summary>
    /// <param name="readsOutliveZap">See <see cref="SimulatedAddressSpace.ReadsOutliveZap"/>.</param>
    /// <returns>The address space.</returns>
    public SimulatedAddressSpace Map(bool readsOutliveZap = false)
    {
        SimulatedAddressSpace space = new(this) { ReadsOutliveZap = readsOutliveZap };
        lock (_spaces)
        {
            _spaces.Add(space);
        }

        Inode.AddMapping(space);
        Kernel.AddAddressSpace(space);
        return space;
    }

    /// <summary>A process maps the enclave no longer.</summary>
    /// <param name="space">Its address space.</param>
    public void Unmap(SimulatedAddressSpace space)
    {
        ArgumentNullException.ThrowIfNull(space);
        space.UnmapAll();
        Kernel.RemoveAddressSpace(space);
        Inode.RemoveMapping(space);
        lock (_spaces)
        {
            _spaces.Remove(space);
        }
    }

    /// <summary>All processes unmap the enclave and close the device.</summary>
    public void Release()
    {
        SimulatedAddressSpace[] spaces;
        lock (_spaces)
        {
            spaces = [.. _spaces];
        }

        foreach (SimulatedAddressSpace space in spaces)
        {
            Unmap(space);
        }

        Kernel.Release();
    }

    private static void Expect(Errno errno)
    {
        if (errno != Errno.None)
        {
            throw new InvalidOperationException($"The enclave cannot be created: {errno}.");
        }
    }

    // Each call has memory of its own, since threads may call at the same time.
    private Errno AddPages(ulong firstPage, ulong pages, in SecInfo secInfo, PageContents? contents)
    {
        BuilderMemory memory = new() { Contents = contents };
        memory.Write(BuilderMemory.StructureAddress, in secInfo);
        return Ioctl(
            memory,
            IoctlTable.SGX_IOC_ENCLAVE_ADD_PAGES,
            new SgxEnclaveAddPages
            {
                Src = BuilderMemory.SourceAddress + (firstPage * EpcPool.PageSize),
                Offset = firstPage * EpcPool.PageSize,
                Length = pages * EpcPool.PageSize,
                SecInfo = BuilderMemory.StructureAddress,
            });
    }

    private Errno Ioctl<T>(BuilderMemory memory, uint command, in T argument)
        where T : unmanaged
    {
        memory.Write(BuilderMemory.ArgumentAddress, in argument);
        return Kernel.Ioctl(command, BuilderMemory.ArgumentAddress, memory, memory, _builder);
    }
}
