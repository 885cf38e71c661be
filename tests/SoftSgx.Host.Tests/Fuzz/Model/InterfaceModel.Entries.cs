namespace SoftSgx.Host.Tests.Fuzz.Model;

/// <content>EENTER and ERESUME by the vDSO, and what the enclave does (SDM vol. 3D, EENTER, ERESUME, EACCEPT, EMODPE).</content>
internal sealed partial class InterfaceModel
{
    private const ulong EENTER = 2, ERESUME = 3, EACCEPT = 5, EMODPE = 6;
    private const ulong SGX_PAGE_ATTRIBUTES_MISMATCH = 19;
    private const string GeneralProtection = "vector 13";

    private string? Enter(Call call)
    {
        (ulong leaf, ulong tcs) = (call[0], call[1]);
        if (leaf is not (EENTER or ERESUME))
        {
            return "returned -22";
        }
        Operation operation = new(call[2], call[3], call[4], call[5], Process);
        bool isUnknown = false;
        string? fault = EnterTcs(leaf, tcs, out EnclaveState? enclave, out PageState? thread, ref isUnknown);
        if (isUnknown)
        {
            return null;
        }
        if (fault is not null)
        {
            return $"leaf {leaf} {fault}";
        }
        if (leaf == ERESUME)
        {
            operation = enclave!.Saved!;
            thread!.IsInterrupted = false;
        }
        string outcome = Execute(enclave!, operation, ref isUnknown);
        if (isUnknown)
        {
            return null;
        }
        if (outcome.StartsWith("vector", StringComparison.Ordinal))
        {
            thread!.IsInterrupted = true;
            enclave!.Saved = operation;
            enclave.PageAt(enclave.Base + (Layout.SsaPage * Layout.Page))!.Content = Content.Junk; // whatever it held, in part
            return $"leaf 3 {outcome}"; // the asynchronous exit put ERESUME in RAX
        }
        return operation.Process == Process ? outcome : null; // it comes out with the stack pointer of another process
    }

    private string? EnterTcs(ulong leaf, ulong tcs, out EnclaveState? enclave, out PageState? thread, ref bool isUnknown)
    {
        (enclave, thread) = (null, null);
        if (tcs % Layout.Page != 0)
        {
            return GeneralProtection;
        }
        string missing = $"vector 14 error * address {tcs:x}";
        if (Process.MappingAt(tcs) is not Mapping mapping || mapping.Protection == 0)
        {
            return missing;
        }
        if (Limits.IsOutOfStep(mapping) || ((mapping.Protection & PROT_WRITE) == 0 && mapping.Enclave.PageAt(tcs) is null))
        {
            isUnknown = true; // whether the processor asks to write, and the kernel says no before it asks the driver for a page
            return null;
        }
        if (Load(mapping, tcs) is not null)
        {
            return missing;
        }
        enclave = mapping.Enclave;
        thread = enclave.PageAt(tcs)!;
        if (thread.Kind != PageKind.Tcs || thread.Modified)
        {
            return missing;
        }
        if ((mapping.Protection & PROT_WRITE) == 0)
        {
            isUnknown = true; // whether the processor minds
            return null;
        }
        if (!enclave.IsInitialized || thread.IsInterrupted != (leaf == ERESUME))
        {
            return GeneralProtection;
        }
        if ((enclave.Attributes & AEXNOTIFY) != 0)
        {
            return GeneralProtection; // the TCS says otherwise
        }
        ulong ssa = enclave.Base + (Layout.SsaPage * Layout.Page);
        if ((Access(enclave, ssa, PROT_WRITE, ref isUnknown) ?? Access(enclave, ssa, PROT_READ, ref isUnknown)) is not null)
        {
            return $"vector 14 error * address {ssa:x}";
        }
        return null;
    }

    private string Execute(EnclaveState enclave, Operation operation, ref bool isUnknown)
    {
        ulong entry = enclave.Base + (Layout.CodePage * Layout.Page);
        if (Access(enclave, entry, PROT_EXEC, ref isUnknown) is string fetch)
        {
            return fetch;
        }
        isUnknown |= enclave.PageAt(entry)?.Content != Content.Code;
        if (isUnknown)
        {
            return "";
        }
        return operation.Number switch
        {
            1 => Access(enclave, operation.First, PROT_READ, ref isUnknown) ?? "exit 0",
            2 => Write(enclave, operation.First, ref isUnknown) ?? "exit 0",
            3 => ExecuteLeaf(enclave, operation, ref isUnknown),
            _ => $"exit {operation.First:x}",
        };
    }

    private string? Write(EnclaveState enclave, ulong address, ref bool isUnknown)
    {
        string? fault = Access(enclave, address, PROT_WRITE, ref isUnknown);
        if (fault is null && !isUnknown)
        {
            enclave.PageAt(address)!.Write();
        }
        return fault;
    }

    private string ExecuteLeaf(EnclaveState enclave, Operation operation, ref bool isUnknown)
    {
        (ulong secInfo, ulong target) = (operation.First, operation.Second);
        bool isAccept = operation.Leaf == EACCEPT;
        string missing = $"vector 14 error * address {target:x}", noSecInfo = $"vector 14 error * address {secInfo & ~(Layout.Page - 1):x}";
        if (secInfo % 64 != 0 || !enclave.Contains(secInfo))
        {
            return GeneralProtection;
        }
        if (!isAccept)
        {
            // EMODPE asks for both pages before it looks at what the EPCM says of either.
            if (target % Layout.Page != 0 || !enclave.Contains(target))
            {
                return GeneralProtection;
            }
            if (!IsThere(enclave, secInfo, ref isUnknown))
            {
                return noSecInfo;
            }
            if (!IsThere(enclave, target, ref isUnknown))
            {
                return missing;
            }
        }
        if (Access(enclave, secInfo, PROT_READ, ref isUnknown) is not null)
        {
            return noSecInfo;
        }
        isUnknown |= enclave.PageAt(secInfo)?.Content != Content.SecInfos || secInfo % Layout.Page / 64 >= (ulong)Layout.SecInfos.Length;
        if (isUnknown)
        {
            return "";
        }
        ulong flags = Layout.SecInfos[(int)(secInfo % Layout.Page / 64)];
        if (target % Layout.Page != 0 || !enclave.Contains(target))
        {
            return GeneralProtection;
        }
        if (!IsThere(enclave, target, ref isUnknown))
        {
            return missing;
        }
        if (isAccept && !IsLegalRequest(flags))
        {
            return GeneralProtection;
        }
        PageState page = enclave.PageAt(target)!;
        return isAccept ? Accept(page, flags, ref isUnknown) : Extend(page, flags, missing);
    }

    /// <summary>An address that a leaf is given has a page in the EPC.</summary>
    private bool IsThere(EnclaveState enclave, ulong address, ref bool isUnknown)
    {
        if (Process.MappingAt(address) is not Mapping mapping || mapping.Protection == 0)
        {
            return false;
        }
        isUnknown |= mapping.Enclave != enclave || Limits.IsOutOfStep(mapping);
        return !isUnknown && Load(mapping, address) is null;
    }

    private static bool IsLegalRequest(ulong flags)
    {
        const ulong Pending = 8, Modified = 0x10, Restricted = 0x20;
        return flags >> 8 == (ulong)PageKind.Reg
            ? (flags & (Pending | Restricted)) != 0 && (flags & Modified) == 0
            : flags >> 8 is (ulong)PageKind.Tcs or (ulong)PageKind.Trim && (flags & (Pending | Modified | Restricted)) == Modified;
    }

    private static string Accept(PageState page, ulong flags, ref bool isUnknown)
    {
        if (flags >> 8 != (ulong)page.Kind || (flags & 7) != page.Permissions
            || ((flags & 8) != 0) != page.Pending || ((flags & 0x10) != 0) != page.Modified)
        {
            return $"exit {SGX_PAGE_ATTRIBUTES_MISMATCH:x}";
        }
        isUnknown |= page.Kind == PageKind.Tcs && page.Content != Content.Tcs;
        page.Pending = page.Modified = false;
        return "exit 0";
    }

    private static string Extend(PageState page, ulong flags, string missing)
    {
        if (!page.IsAccessible)
        {
            return missing;
        }
        if ((flags & 3) == 2 && (page.Permissions & PROT_READ) == 0)
        {
            return GeneralProtection;
        }
        page.Permissions |= flags & 7;
        return $"exit {EMODPE:x}";
    }
}
