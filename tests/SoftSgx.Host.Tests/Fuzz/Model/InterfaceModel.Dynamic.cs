namespace SoftSgx.Host.Tests.Fuzz.Model;

/// <content>RESTRICT_PERMISSIONS, MODIFY_TYPES, REMOVE_PAGES.</content>
internal sealed partial class InterfaceModel
{
    private const ulong SGX_PAGE_NOT_MODIFIABLE = 20;

    private static string Dynamic(EnclaveState enclave, Call call, ref ulong done, ref ulong result)
    {
        (string name, ulong how, ulong offset, ulong length) = (call.Name, call[1], call[2], call[3]);
        if (enclave.UsedAddPage)
        {
            return "ENOTTY"; // 2019 had none
        }
        if (!enclave.IsInitialized)
        {
            return "EINVAL";
        }
        if (how != 0)
        {
            return "EFAULT";
        }
        if (!IsRange(enclave, offset, length))
        {
            return "EINVAL";
        }
        if (name == "restrict" && ((call[4] & ~7ul) != 0 || (call[4] & 3) == 2))
        {
            return "EINVAL";
        }
        if (done != 0 || result != 0)
        {
            return "EINVAL";
        }
        if (name == "modify" && call[4] is not ((ulong)PageKind.Tcs or (ulong)PageKind.Trim))
        {
            return "EINVAL";
        }
        for (; done < length; done += Layout.Page)
        {
            ulong index = (offset + done) / Layout.Page;
            if (!enclave.Pages.TryGetValue(index, out PageState? page))
            {
                return "EFAULT";
            }
            string errno = name == "restrict" ? Restrict(page, call[4], ref result)
                : name == "modify" ? Modify(page, (PageKind)call[4], ref result)
                : Remove(enclave, index, page);
            if (errno != Ok)
            {
                return errno;
            }
        }
        return Ok;
    }

    private static string Restrict(PageState page, ulong permissions, ref ulong result)
    {
        if (page.Kind != PageKind.Reg)
        {
            return "EINVAL";
        }
        if (page.Pending || page.Modified)
        {
            result = SGX_PAGE_NOT_MODIFIABLE;
            return "EFAULT";
        }
        page.Permissions &= permissions;
        return Ok;
    }

    private static string Modify(PageState page, PageKind kind, ref ulong result)
    {
        if (page.Kind != PageKind.Reg && !(page.Kind == PageKind.Tcs && kind == PageKind.Trim))
        {
            return "EINVAL";
        }
        if (kind == PageKind.Tcs && (page.Maximum & (PROT_READ | PROT_WRITE)) != (PROT_READ | PROT_WRITE))
        {
            return "EPERM";
        }
        if (page.Pending || page.Modified)
        {
            result = SGX_PAGE_NOT_MODIFIABLE;
            return "EFAULT";
        }
        if (kind == PageKind.Tcs)
        {
            page.Maximum = PROT_READ | PROT_WRITE;
        }
        page.Kind = kind;
        page.Permissions = 0;
        page.Modified = true;
        return Ok;
    }

    private static string Remove(EnclaveState enclave, ulong index, PageState page)
    {
        if (page.Kind != PageKind.Trim || page.Modified)
        {
            return "EPERM";
        }
        enclave.Pages.Remove(index);
        return Ok;
    }
}
