namespace SoftSgx.Host.Tests.Fuzz.Model;

/// <content>mmap, munmap and mprotect: mm/mmap.c and mm/mprotect.c, and what the driver says to them.</content>
internal sealed partial class InterfaceModel
{
    private const ulong PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4;
    private const ulong MAP_TYPE = 0xf, MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_SHARED_VALIDATE = 3, MAP_FIXED = 0x10, MAP_FIXED_NOREPLACE = 0x100000;

    private string Map(Call call)
    {
        (ulong start, ulong length, ulong protection, ulong flags) = (call[1], RoundUp(call[2]), call[3], call[4]);
        string outcome = TryMap(call, out EnclaveState? enclave);
        if (outcome == Ok)
        {
            Process.Add(new Mapping(start, start + length, protection, enclave!));
        }
        else if ((flags & MAP_FIXED) != 0 && length != 0 && start % Layout.Page == 0)
        {
            Process.Remove(start, start + length); // the program unmaps what the call may have left
        }
        return outcome == "elsewhere" ? Ok : outcome; // and a mapping that is not where it was asked for
    }

    private string TryMap(Call call, out EnclaveState? enclave)
    {
        (ulong start, ulong length, ulong protection, ulong flags, ulong offset) = (call[1], RoundUp(call[2]), call[3], call[4], call[5]);
        OpenFile? file = Process.Slots[call[0]];
        enclave = file?.Enclave;
        if (offset % Layout.Page != 0)
        {
            return "EINVAL";
        }
        if (file is null or { IsPathOnly: true })
        {
            return "EBADF";
        }
        if (length == 0)
        {
            return "EINVAL";
        }
        bool isFixed = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0, isOccupied = Process.Overlaps(start, start + length);
        if (enclave is not null && (flags & MAP_TYPE) == MAP_PRIVATE)
        {
            return "EINVAL";
        }
        if (start % Layout.Page != 0)
        {
            return "EINVAL";
        }
        if ((flags & MAP_FIXED_NOREPLACE) != 0 && isOccupied)
        {
            return "EEXIST";
        }
        if ((flags & MAP_TYPE) is not (MAP_SHARED or MAP_PRIVATE or MAP_SHARED_VALIDATE))
        {
            return "EINVAL";
        }
        if (enclave is null)
        {
            return "ENODEV"; // the provisioning device cannot be mapped
        }
        if (!isFixed && isOccupied)
        {
            // The kernel chooses another place, which cannot be in the enclave.
            return MayMap(enclave, 0, length, protection, isElsewhere: true) ? "elsewhere" : "EACCES";
        }
        return MayMap(enclave, start, start + length, protection) ? Ok : "EACCES";
    }

    private string Unmap(Call call)
    {
        (ulong start, ulong length) = (call[0], RoundUp(call[1]));
        if (start % Layout.Page != 0 || length == 0)
        {
            return "EINVAL";
        }
        Process.Remove(start, start + length);
        return Ok;
    }

    private string Protect(Call call)
    {
        (ulong start, ulong end, ulong protection) = (call[0], call[0] + RoundUp(call[1]), call[2]);
        if (start % Layout.Page != 0)
        {
            return "EINVAL";
        }
        while (start < end)
        {
            if (Process.MappingAt(start) is not Mapping mapping)
            {
                return "ENOMEM";
            }
            ulong last = Math.Min(end, mapping.End);
            if (!MayMap(mapping.Enclave, start, last, protection))
            {
                return "EACCES"; // what came before stays changed
            }
            Process.Protect(mapping, start, last, protection);
            start = last;
        }
        return Ok;
    }

    private static bool MayMap(EnclaveState enclave, ulong start, ulong end, ulong protection, bool isElsewhere = false)
    {
        if (enclave.UsedAddPage && protection == 0)
        {
            return true;
        }
        bool isInside = !isElsewhere && enclave.IsCreated && start >= enclave.Base && end <= enclave.Base + enclave.Size;
        if (enclave.IsInitialized && !isInside)
        {
            return false;
        }
        if (enclave.UsedAddPage && !isInside)
        {
            return false;
        }
        for (ulong address = start; address < end && !isElsewhere; address += Layout.Page)
        {
            PageState? page = enclave.PageAt(address);
            if (page is null ? enclave.UsedAddPage : (protection & ~page.Maximum) != 0)
            {
                return false;
            }
        }
        return true;
    }

    private static ulong RoundUp(ulong length) => (length + Layout.Page - 1) & ~(Layout.Page - 1);
}
