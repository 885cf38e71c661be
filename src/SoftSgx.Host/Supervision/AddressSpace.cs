using System.Diagnostics.CodeAnalysis;
using SoftSgx.Architecture;
using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Isolation;
using SoftSgx.Host.Memory;
using SoftSgx.Host.Monitor;
using SoftSgx.Host.Paging;
using SoftSgx.Kernel;
using SoftSgx.Processor;

namespace SoftSgx.Host.Supervision;

/// <summary>One address space of the supervised program: what threads, and a vfork child until it execs, share.</summary>
internal sealed class AddressSpace : IProcessAddressSpace, IUserMemory, IDisposable
{
    private readonly MemoryMap _map = new();

    internal AddressSpace(TraceeMemory memory) => Memory = memory;

    internal TraceeMemory Memory { get; }

    /// <summary>A thread of the address space that is stopped now; /proc paths and remote reads go through it.</summary>
    internal int Tid
    {
        get => Memory.Tid;
        set => Memory.Tid = value;
    }

    /// <summary>Where our vDSO image is mapped; zero in a program that has none.</summary>
    internal ulong VdsoBase { get; init; }

    /// <summary>Addresses where a CPUID instruction was replaced by UD2.</summary>
    internal HashSet<ulong> CpuidSites { get; init; } = [];

    internal EnclaveMappings Enclaves { get; init; } = new();

    /// <summary>What paging needs of it; null before the first device is opened and after the end.</summary>
    internal SpacePaging? Paging { get; set; }

    /// <summary>By what its threads enter and leave enclaves without a trap; null if they do not.</summary>
    internal MonitorArea? Monitor { get; set; }

    /// <summary>The monitor of the address space that this one was forked from, until the child's first stop.</summary>
    internal MonitorArea? ParentMonitor { get; set; }

    /// <summary>Address ranges in which a filter stops every system call; filters survive fork and exec.</summary>
    internal List<AddressRange> CallTraps { get; init; } = [];

    /// <summary>Where its threads execute accesses to enclave memory from outside.</summary>
    internal AbortSlots AbortSlots { get; init; } = new();

    /// <summary>True once the filter for users of the device is installed; filters survive fork and exec.</summary>
    internal bool HasEnclaveFilter { get; set; }

    /// <summary>How many traced threads run in it.</summary>
    internal int Threads { get; set; }

    /// <summary>How many of them are inside enclaves.</summary>
    internal int ThreadsInside { get; set; }

    /// <inheritdoc/>
    public bool TryTranslate(ulong address, AccessKind access, out int epcPage, out PageFaultError error)
    {
        epcPage = -1;
        error = PageFaultError.User | access switch
        {
            AccessKind.Write => PageFaultError.Write,
            AccessKind.Execute => PageFaultError.Instruction,
            _ => 0,
        };
        if (!Enclaves.TryFind(address, out EnclaveMapping mapping))
        {
            return PageTables.IsPresent(Tid, address) || FindMapping(address).Exists; // ordinary memory, or nothing
        }
        PageProtection needed = access switch
        {
            AccessKind.Write => PageProtection.Write,
            AccessKind.Execute => PageProtection.Execute,
            _ => PageProtection.Read,
        };
        int page = mapping.Owner.Enclave.EpcPageAt(address);
        if (page < 0)
        {
            return false;
        }
        if (mapping.ExceedsMaximum(address))
        {
            return false;
        }
        if ((mapping.Protection & needed) == 0)
        {
            // PROT_NONE is a page table entry without the present bit, any other protection one with it.
            error |= mapping.Protection == PageProtection.None ? 0 : PageFaultError.Present;
            return false;
        }
        epcPage = page;
        return true;
    }

    /// <inheritdoc/>
    public bool TryFindMapping(ulong address, [NotNullWhen(true)] out Enclave? enclave, out PageProtection protection)
    {
        bool found = Enclaves.TryFind(address, out EnclaveMapping mapping);
        (enclave, protection) = found ? (mapping.Owner.Enclave, mapping.Protection) : (null, PageProtection.None);
        return found;
    }

    /// <summary>
    /// Reads code: from the EPC pages as far as there are any, since enclave code may be mapped for execution only, and from ordinary
    /// memory beyond them. The number of bytes up to the first unreadable page.
    /// </summary>
    internal int ReadCode(ulong address, Span<byte> destination)
    {
        int length = 0;
        while (length < destination.Length && Enclaves.TryFind(address + (ulong)length, out EnclaveMapping mapping))
        {
            int read = mapping.Owner.Enclave.Read(address + (ulong)length, destination[length..]);
            if (read == 0)
            {
                break;
            }
            length += read;
        }
        return length < destination.Length ? length + Memory.ReadSome(address + (ulong)length, destination[length..]) : length;
    }

    /// <inheritdoc/>
    public bool TryRead(ulong address, Span<byte> destination) => Memory.TryRead(address, destination);

    /// <inheritdoc/>
    public bool TryWrite(ulong address, ReadOnlySpan<byte> source) => Memory.TryWrite(address, source);

    /// <inheritdoc/>
    public SourceMapping FindMapping(ulong address) => _map.Find(Tid, address);

    /// <inheritdoc/>
    public bool IsModified(ulong address, ulong length)
    {
        if (Paging?.Present is PresentPages kept)
        {
            return MemoryMap.IsModified(kept, address, length);
        }
        using PresentPages? pages = PresentPages.Open(Tid); // a process that was handed a descriptor of a device, and opened none
        return pages is null || MemoryMap.IsModified(pages, address, length);
    }

    /// <summary>The address space of a forked child: the same mappings, its own memory.</summary>
    internal AddressSpace Fork(int tid) => new(TraceeMemory.Open(tid))
    {
        VdsoBase = VdsoBase,
        CpuidSites = [.. CpuidSites],
        Enclaves = Enclaves.Copy(),
        AbortSlots = AbortSlots.Fork(),
        HasEnclaveFilter = HasEnclaveFilter,
        CallTraps = [.. CallTraps],
        ParentMonitor = Monitor?.Hold(),
    };

    /// <summary>True if a filter stops every system call in an enclave.</summary>
    internal bool TrapsCallsOf(OpenEnclave? owner)
    {
        foreach (AddressRange trap in CallTraps)
        {
            if (owner is not null && trap.Start <= owner.Enclave.Base && owner.Enclave.Base - trap.Start <= trap.Length - owner.Enclave.Size)
            {
                return trap.Length >= owner.Enclave.Size;
            }
        }
        return false;
    }

    /// <summary>True if a filter stops every system call at an address.</summary>
    internal bool TrapsCallsAt(ulong address)
    {
        foreach (AddressRange trap in CallTraps)
        {
            if (address - trap.Start < trap.Length)
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>Forgets what is known of source mappings: a system call changed the address space.</summary>
    internal void MappingsChanged() => _map.Invalidate();

    public void Dispose() => Memory.Dispose();
}
