using SoftSgx.Architecture;
using SoftSgx.Kernel.Tracing;
using SoftSgx.Processor;

namespace SoftSgx.Kernel.Tests;

/// <summary>A whole simulated machine: processor, kernel, and one program with a few mappings.</summary>
internal sealed class Machine
{
    public const ulong ArgumentAddress = 0x1_0000;
    public const ulong SecsAddress = 0x2_0000;
    public const ulong SecInfoAddress = 0x3_0000;
    public const ulong SigStructAddress = 0x4_0000;
    public const ulong SourceAddress = 0x10_0000;
    public const int SourcePages = 32;
    public const ulong NoExecAddress = 0x80_0000;
    public const ulong Unmapped = 0xDEAD_0000;

    public const ulong EnclaveBase = 0x7000_0000_0000;
    public const ulong EnclaveSize = 0x100_0000;

    public static readonly SecInfo RegRw = SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.W);
    public static readonly SecInfo RegRx = SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.X);
    public static readonly SecInfo TcsPage = SecInfo.For(PageType.PT_TCS, SecInfoFlags.None);

    private readonly List<int> _hogged = [];

    public Machine(int epcPages = 64, ProcessorConfiguration? configuration = null, ReclaimSettings? reclaim = null, ITrace? trace = null,
        ISecurityModule? security = null, ICallingTask? task = null)
    {
        Platform = new ArrayPlatform(epcPages);
        Processor = new SgxProcessor(
            configuration ?? new ProcessorConfiguration(), PlatformSecrets.FromSeed("kernel tests"u8), epcPages, Platform);
        Encls = new ScriptedEncls(Processor);
        Kernel = new SgxSubsystem(Processor, Platform, new SubsystemOptions { Delay = Delays.Add, Reclaim = reclaim ?? new ReclaimSettings(), Trace = trace, Security = security, CurrentTask = () => task ?? NoTask.Instance }, Encls);
        Argument = Memory.Map(ArgumentAddress, 4096);
        Memory.Map(SecsAddress, 4096);
        Memory.Map(SecInfoAddress, 4096);
        Memory.Map(SigStructAddress, 4096);
        Source = Memory.Map(SourceAddress, SourcePages * 4096);
        Memory.Map(NoExecAddress, 4 * 4096, mayExecute: false);
        new Random(20190911).NextBytes(Source.Data);
        Memory.Write(SecInfoAddress, in RegRw);
    }

    public ArrayPlatform Platform { get; }

    public SgxProcessor Processor { get; }

    public ScriptedEncls Encls { get; }

    public SgxSubsystem Kernel { get; }

    public EpcPool Pool => Kernel.Pool;

    public SimulatedMemory Memory { get; } = new();

    public SimulatedMemory.Region Argument { get; }

    public SimulatedMemory.Region Source { get; }

    public SimulatedFiles Files { get; } = new();

    public LogicalProcessor LogicalProcessor { get; } = new();

    public List<TimeSpan> Delays { get; } = [];

    public ArrayInode? LastInode { get; private set; }

    public static Secs Secs(ulong size = EnclaveSize, ulong @base = EnclaveBase, AttributeFlags extra = 0) => new()
    {
        EnclaveSize = size,
        BaseAddress = @base,
        SsaFrameSize = 1,
        Attributes = new SgxAttributes(AttributeFlags.MODE64BIT | extra, 3),
    };

    public static SgxEnclaveAddPages Pages(ulong offset = 0, ulong pages = 1, bool measure = true) => new()
    {
        Src = SourceAddress,
        Offset = offset,
        Length = pages * 4096,
        SecInfo = SecInfoAddress,
        Flags = measure ? SgxEnclaveAddPages.SGX_PAGE_MEASURE : 0,
        Count = 0x5555,
    };

    public Enclave Open(DeviceAbi abi = DeviceAbi.Mainline) => Kernel.Device.Open(LastInode = new ArrayInode(Platform), abi);

    public Enclave OpenCreated(DeviceAbi abi = DeviceAbi.Mainline, AttributeFlags extra = 0)
    {
        Enclave enclave = Open(abi);
        Assert.Equal(Errno.None, Create(enclave, Secs(extra: extra)));
        return enclave;
    }

    public Errno Ioctl(Enclave enclave, uint command, ulong argument = ArgumentAddress)
        => enclave.Ioctl(command, argument, Memory, Files, LogicalProcessor);

    public Errno Create(Enclave enclave, in Secs secs)
    {
        Memory.Write(SecsAddress, in secs);
        Memory.Write(ArgumentAddress, new SgxEnclaveCreate { Src = SecsAddress });
        return Ioctl(enclave, IoctlTable.SGX_IOC_ENCLAVE_CREATE);
    }

    public Errno AddPages(Enclave enclave, in SgxEnclaveAddPages pages)
    {
        Memory.Write(ArgumentAddress, in pages);
        return Ioctl(enclave, IoctlTable.SGX_IOC_ENCLAVE_ADD_PAGES);
    }

    public Errno AddPages(Enclave enclave, ulong offset, ulong pages, in SecInfo secInfo, bool measure = true)
    {
        Memory.Write(SecInfoAddress, in secInfo);
        return AddPages(enclave, Pages(offset, pages, measure));
    }

    public Errno AddTcs(Enclave enclave, ulong offset)
    {
        byte[] saved = Source.Data[..4096];
        var tcs = new Tcs { OSsa = 0x2000, NSsa = 2, OEntry = 0, FsLimit = 0xFFF, GsLimit = 0xFFF };
        Memory.Write(SourceAddress, in tcs);
        Errno errno = AddPages(enclave, offset, 1, in TcsPage);
        Memory.Put(SourceAddress, saved);
        return errno;
    }

    public ulong AddedBytes => Memory.Read<SgxEnclaveAddPages>(ArgumentAddress).Count;

    public Errno Init(Enclave enclave, in SigStruct sigStruct)
    {
        Memory.Write(SigStructAddress, in sigStruct);
        Memory.Write(ArgumentAddress, new SgxEnclaveInit { SigStruct = SigStructAddress });
        return Ioctl(enclave, IoctlTable.SGX_IOC_ENCLAVE_INIT);
    }

    public Errno Provision(Enclave enclave, ulong fd)
    {
        Memory.Write(ArgumentAddress, new SgxEnclaveProvision { Fd = fd });
        return Ioctl(enclave, IoctlTable.SGX_IOC_ENCLAVE_PROVISION);
    }

    /// <summary>Takes EPC pages until only so many are free.</summary>
    public void LeaveFree(int pages)
    {
        while (Pool.Free > pages)
        {
            Assert.True(Pool.TryAllocate(PageType.PT_REG, out int page));
            _hogged.Add(page);
        }
    }

    /// <summary>Gives back one page of what <see cref="LeaveFree"/> took.</summary>
    public void FreeOne()
    {
        Pool.Return(_hogged[^1]);
        _hogged.RemoveAt(_hogged.Count - 1);
    }

    /// <summary>Swaps out everything that can be.</summary>
    public void EvictAll()
    {
        while (Kernel.Reclaimer.CanReclaim && Kernel.Reclaimer.ReclaimBatch())
        {
        }
    }

    /// <summary>Gives back what <see cref="LeaveFree"/> took.</summary>
    public void FreeAll()
    {
        _hogged.ForEach(Pool.Return);
        _hogged.Clear();
    }

    /// <summary>Nothing is in use any more: no EPC page, no frame, no EPCM entry.</summary>
    public void AssertNothingLeaked()
    {
        FreeAll();
        Assert.Equal(Pool.Total, Pool.Free);
        Assert.All(Enum.GetValues<PageType>(), type => Assert.Equal(0, Pool.CountOf(type)));
        Assert.Equal(0, Platform.FrameCount);
        Assert.All(Enumerable.Range(0, Pool.Total), page => Assert.False(Processor.Epcm.IsValid(page)));
    }
}
