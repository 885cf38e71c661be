using System.Numerics;
using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Host.Tests.Fuzz.Model;

/// <content>CREATE, ADD_PAGES, ADD_PAGE, INIT, PROVISION.</content>
internal sealed partial class InterfaceModel
{
    private const ulong INIT = 1, DEBUG = 2, MODE64BIT = 4, PROVISIONKEY = 0x10, EINITTOKEN_KEY = 0x20, AEXNOTIFY = 0x400;
    private const ulong EXINFO = 1;

    private byte[]? _signature;

    private string Create(EnclaveState enclave, Call call)
    {
        (ulong how, ulong size, ulong start, ulong attributes, ulong xfrm, ulong misc, ulong ssa) =
            (call[1], call[2], call[3], call[4], call[5], call[6], call[7]);
        if (enclave.IsCreated)
        {
            return "EINVAL";
        }
        if (how != 0)
        {
            return "EFAULT";
        }
        if (!BitOperations.IsPow2(size))
        {
            return "EINVAL";
        }
        bool isValid = size >= 2 * Layout.Page
            && start % size == 0
            && (attributes & ~(DEBUG | MODE64BIT | PROVISIONKEY | EINITTOKEN_KEY | AEXNOTIFY)) == 0
            && (attributes & MODE64BIT) != 0
            && xfrm is 3 or 7
            && (misc & ~EXINFO) == 0
            && ssa >= 1;
        if (!isValid)
        {
            return enclave.IsV22 ? "EINVAL" : "EIO";
        }
        enclave.IsCreated = true;
        Changed(enclave);
        (enclave.Base, enclave.Size) = (start, size);
        (enclave.Attributes, enclave.Xfrm, enclave.Misc) = (attributes, xfrm, (uint)misc);
        enclave.MayProvision &= enclave.IsV22; // mainline starts from what everybody is allowed
        enclave.Measurement = new Measurement((uint)ssa, size);
        return Ok;
    }

    private static string Add(EnclaveState enclave, Call call, out ulong added)
    {
        (ulong how, ulong offset, ulong length, Source source, ulong secInfo, ulong flags) =
            (call[1], call[2], call[3], (Source)call[4], call[5], call[6]);
        added = 0;
        if (!enclave.IsCreated || enclave.IsInitialized)
        {
            return "EINVAL";
        }
        if (how == 1)
        {
            return "EFAULT";
        }
        if (source == Source.Odd || !IsRange(enclave, offset, length))
        {
            return "EINVAL";
        }
        if (how == 2)
        {
            return "EFAULT";
        }
        if (!IsSecInfo(secInfo))
        {
            return "EINVAL";
        }
        for (; added < length; added += Layout.Page)
        {
            string errno = AddOne(enclave, offset + added, source, added, secInfo, (flags & 1) != 0 ? 0xfffful : 0, "EBUSY", "EIO");
            if (errno != Ok)
            {
                return errno;
            }
        }
        return Ok;
    }

    private string AddPage(EnclaveState enclave, Call call)
    {
        (ulong how, ulong address, Source source, ulong secInfo, ulong mask) = (call[1], call[2], (Source)call[3], call[4], call[5]);
        if (!enclave.IsV22)
        {
            return "ENOTTY";
        }
        if (!enclave.IsCreated)
        {
            return "EINVAL";
        }
        if (how == 1)
        {
            return "EFAULT";
        }
        if (source == Source.Odd || address % Layout.Page != 0 || !enclave.Contains(address))
        {
            return "EINVAL";
        }
        if (how == 2)
        {
            return "EFAULT";
        }
        if (!IsSecInfo(secInfo))
        {
            return "EINVAL";
        }
        if (enclave.IsInitialized)
        {
            return "EFAULT";
        }
        if (!enclave.UsedAddPage)
        {
            enclave.UsedAddPage = true;
            Changed(enclave);
        }
        return AddOne(enclave, address - enclave.Base, source, 0, secInfo, mask, "EEXIST", "EFAULT");
    }

    private static string AddOne(
        EnclaveState enclave, ulong offset, Source source, ulong sourceOffset, ulong secInfo, ulong mask, string exists, string failed)
    {
        if (enclave.Pages.ContainsKey(offset / Layout.Page))
        {
            return exists;
        }
        if (source is Source.Protected or Source.Absent || (source == Source.Short && sourceOffset >= 2 * Layout.Page))
        {
            return "EFAULT";
        }
        PageKind kind = (PageKind)(secInfo >> 8);
        Content content = SourcePages.ContentOf(source);
        if (kind == PageKind.Tcs && content is not Content.Tcs)
        {
            return failed; // EADD: reserved bits
        }
        ulong permissions = secInfo & 7;
        enclave.Pages.Add(offset / Layout.Page, new PageState
        {
            Kind = kind,
            Content = content,
            Maximum = kind == PageKind.Tcs ? PROT_READ | PROT_WRITE : permissions,
            Permissions = permissions,
        });
        enclave.Measurement!.Add(offset, secInfo, SourcePages.BytesOf(content), mask);
        return Ok;
    }

    private string? Init(EnclaveState enclave, Call call)
    {
        if (!enclave.IsCreated)
        {
            return "EINVAL";
        }
        if (enclave.IsInitialized)
        {
            return enclave.IsV22 ? "EFAULT" : "EINVAL";
        }
        if (call[1] != 0)
        {
            return "EFAULT";
        }
        if (_signature is null)
        {
            return null;
        }
        ref readonly SigStruct signature = ref MemoryMarshal.AsRef<SigStruct>(_signature);
        bool isAllowed = (enclave.Attributes & EINITTOKEN_KEY) == 0 && ((enclave.Attributes & PROVISIONKEY) == 0 || enclave.MayProvision);
        if (!enclave.IsV22)
        {
            if (signature.Vendor is not (0 or 0x8086))
            {
                return "EINVAL";
            }
            if (!isAllowed)
            {
                return "EACCES";
            }
            const ulong Known = INIT | DEBUG | MODE64BIT | PROVISIONKEY | EINITTOKEN_KEY | AEXNOTIFY | 0x80;
            if (((ulong)signature.Attributes.Flags & (ulong)signature.AttributeMask.Flags & ~Known) != 0
                || ((uint)signature.MiscSelect & (uint)signature.MiscMask & ~EXINFO) != 0
                || (signature.Attributes.Xfrm & signature.AttributeMask.Xfrm & 1ul << 62) != 0)
            {
                return "EINVAL";
            }
        }
        else if (!isAllowed)
        {
            return "EINVAL";
        }
        ulong error = Signatures.Verify(enclave, in signature);
        if (error != 0)
        {
            return enclave.IsV22 ? $"{error:x}" : "EPERM";
        }
        enclave.IsInitialized = true;
        Changed(enclave);
        return Ok;
    }

    private string Provision(EnclaveState enclave, Call call)
    {
        if (Process.Slots[call[1]] is not { Enclave: null, IsPathOnly: false })
        {
            return "EINVAL";
        }
        enclave.MayProvision = true;
        return Ok;
    }

    private static bool IsRange(EnclaveState enclave, ulong offset, ulong length)
        => offset % Layout.Page == 0 && length != 0 && length % Layout.Page == 0
            && offset + length >= offset && offset + length - Layout.Page < enclave.Size;

    private static bool IsSecInfo(ulong flags)
        => (flags & ~0xff07ul) == 0
            && (flags >> 8 == (ulong)PageKind.Reg || flags >> 8 == (ulong)PageKind.Tcs)
            && (flags & 3) != 2
            && (flags >> 8 == (ulong)PageKind.Reg || (flags & 7) == 0);
}
