namespace SoftSgx.Host.Tests.Fuzz.Model;

/// <content>Accesses to enclave memory, from outside and from inside; page faults.</content>
internal sealed partial class InterfaceModel
{
    private const string SegmentationFault = "SIGSEGV", BusError = "SIGBUS";

    /// <summary>What the driver's fault handler does when a mapping allows an access: null if there is a page then, else a signal.</summary>
    private static string? Load(Mapping mapping, ulong address)
    {
        EnclaveState enclave = mapping.Enclave;
        if (!enclave.Contains(address) || (enclave.UsedAddPage && !enclave.IsInitialized))
        {
            return BusError;
        }
        if (enclave.PageAt(address) is PageState page)
        {
            return (mapping.Protection & ~page.Maximum) != 0 ? BusError : null;
        }
        if (!enclave.IsInitialized || enclave.UsedAddPage)
        {
            return BusError;
        }
        enclave.Pages.Add((address - enclave.Base) / Layout.Page, new PageState // EAUG
        {
            Kind = PageKind.Reg, Content = Content.Zero, Pending = true,
            Permissions = PROT_READ | PROT_WRITE, Maximum = PROT_READ | PROT_WRITE | PROT_EXEC,
        });
        return null;
    }

    /// <summary>An access of the program itself.</summary>
    private string? Touch(ulong address, bool isWrite)
    {
        if (Process.MappingAt(address) is not Mapping mapping || !Allows(mapping.Protection, isWrite ? PROT_WRITE : PROT_READ))
        {
            return SegmentationFault;
        }
        if (Limits.IsOutOfStep(mapping))
        {
            return null;
        }
        if (mapping.Enclave is var enclave && enclave.PageAt(address) is PageState page && (mapping.Protection & ~page.Maximum) != 0
            && !(enclave.UsedAddPage && !enclave.IsInitialized))
        {
            return Limits.TouchBeyondMaximum(enclave, page);
        }
        if ((Load(mapping, address) ?? Limits.TouchFromOutside(mapping, mapping.Enclave.PageAt(address)!, isWrite)) is string fault)
        {
            return fault;
        }
        if (isWrite)
        {
            mapping.Enclave.PageAt(address)!.Write();
        }
        return Ok;
    }

    /// <summary>An access by a thread inside an enclave: null, or the page fault as the vDSO reports it.</summary>
    /// <param name="enclave">The enclave.</param>
    /// <param name="address">The address.</param>
    /// <param name="access">One of the PROT bits.</param>
    /// <param name="isUnknown">The model cannot tell.</param>
    private string? Access(EnclaveState enclave, ulong address, ulong access, ref bool isUnknown)
    {
        ulong error = 4 | (access == PROT_WRITE ? 2ul : 0) | (access == PROT_EXEC ? 0x10ul : 0);
        // The kernel asks the driver for a page that an instruction is to be fetched from, and looks whether it may be executed when it is there
        // (access_error in arch/x86/mm/fault.c).
        if (Process.MappingAt(address) is not Mapping mapping || !Allows(mapping.Protection, access == PROT_EXEC ? PROT_READ : access))
        {
            return PageFault(error, address);
        }
        if (mapping.Enclave != enclave || Limits.IsOutOfStep(mapping))
        {
            isUnknown = true;
            return null;
        }
        if (Load(mapping, address) is not null || !Allows(mapping.Protection, access))
        {
            return PageFault(error, address);
        }
        PageState page = enclave.PageAt(address)!;
        return page.IsAccessible && Limits.Allows(mapping, page, access) ? null : PageFault(0x8001 | error, address);
    }

    /// <summary>Of page table entries: what can be written or executed can be read.</summary>
    private static bool Allows(ulong protection, ulong access)
        => access == PROT_READ ? protection != 0 : (protection & access) != 0;

    private static string PageFault(ulong error, ulong address)
        => $"vector 14 error {error:x} address {address & ~(Layout.Page - 1):x}";
}
