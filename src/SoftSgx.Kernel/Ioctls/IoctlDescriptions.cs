using System.Security.Cryptography;
using SoftSgx.Architecture;
using SoftSgx.Kernel.Tracing;

namespace SoftSgx.Kernel;

/// <summary>Adds to an event what the argument of an ioctl says.</summary>
internal delegate void IoctlDescription(TraceEvent e, ulong argument, IUserMemory memory);

/// <summary>
/// The arguments of the ioctls in words, before the call and after it: every member of the structs, and what they point to.
/// <see cref="IoctlTable"/> says which belongs to which command.
/// </summary>
internal static class IoctlDescriptions
{
    /// <summary>Nothing.</summary>
    public static void None(TraceEvent e, ulong argument, IUserMemory memory)
    {
    }

    /// <summary>SGX_IOC_ENCLAVE_CREATE: the SECS.</summary>
    public static void Create(TraceEvent e, ulong argument, IUserMemory memory)
    {
        if (!TryRead(e, argument, memory, out SgxEnclaveCreate create))
        {
            return;
        }

        e.Add("src", create.Src, null);
        if (memory.TryReadStruct(create.Src, out Secs secs))
        {
            e.Add("base", secs.BaseAddress, null)
                .Add("size", secs.EnclaveSize)
                .Add("ssaFrameSize", secs.SsaFrameSize)
                .Add("miscSelect", TraceNames.Flags(secs.MiscSelect))
                .Add("attributes", TraceNames.Flags(secs.Attributes.Flags))
                .Add("xfrm", TraceNames.Flags((XFeatureMask)secs.Attributes.Xfrm));
        }
    }

    /// <summary>SGX_IOC_ENCLAVE_ADD_PAGES.</summary>
    public static void AddPages(TraceEvent e, ulong argument, IUserMemory memory)
    {
        if (!TryRead(e, argument, memory, out SgxEnclaveAddPages add))
        {
            return;
        }

        e.Add("src", add.Src, null).Add("offset", add.Offset).Add("length", add.Length);
        AddSecInfo(e, add.SecInfo, memory);
        e.Add("flags", TraceNames.Join(add.Flags, [(SgxEnclaveAddPages.SGX_PAGE_MEASURE, "MEASURE")]));
    }

    /// <summary>SGX_IOC_ENCLAVE_ADD_PAGES, afterwards.</summary>
    public static void AddPagesResult(TraceEvent e, ulong argument, IUserMemory memory)
    {
        if (memory.TryReadStruct(argument, out SgxEnclaveAddPages add))
        {
            e.Add("count", add.Count);
        }
    }

    /// <summary>SGX_IOC_ENCLAVE_ADD_PAGE.</summary>
    public static void AddPage(TraceEvent e, ulong argument, IUserMemory memory)
    {
        if (!TryRead(e, argument, memory, out SgxEnclaveAddPage add))
        {
            return;
        }

        e.Add("addr", add.Addr, null).Add("src", add.Src, null);
        AddSecInfo(e, add.SecInfo, memory);
        e.Add("mrMask", (ulong)add.MrMask);
    }

    /// <summary>SGX_IOC_ENCLAVE_INIT: the SIGSTRUCT.</summary>
    public static void Init(TraceEvent e, ulong argument, IUserMemory memory)
    {
        if (!TryRead(e, argument, memory, out SgxEnclaveInit init))
        {
            return;
        }

        e.Add("sigStruct", init.SigStruct, null);
        if (memory.TryReadStruct(init.SigStruct, out SigStruct signature))
        {
            e.Add("enclaveHash", signature.EnclaveHash.ToString())
                .Add("mrSigner", Convert.ToHexStringLower(SHA256.HashData(Bytes.Of(in signature.Modulus))))
                .Add("isvProdId", signature.IsvProdId)
                .Add("isvSvn", signature.IsvSvn)
                .Add("vendor", (ulong)signature.Vendor)
                .Add("date", (ulong)signature.Date)
                .Add("attributes", TraceNames.Flags(signature.Attributes.Flags))
                .Add("attributeMask", TraceNames.Flags(signature.AttributeMask.Flags))
                .Add("xfrm", TraceNames.Flags((XFeatureMask)signature.Attributes.Xfrm))
                .Add("xfrmMask", TraceNames.Flags((XFeatureMask)signature.AttributeMask.Xfrm))
                .Add("miscSelect", TraceNames.Flags(signature.MiscSelect))
                .Add("miscMask", TraceNames.Flags(signature.MiscMask));
        }
    }

    /// <summary>SGX_IOC_ENCLAVE_PROVISION.</summary>
    public static void Provision(TraceEvent e, ulong argument, IUserMemory memory)
    {
        if (TryRead(e, argument, memory, out SgxEnclaveProvision provision))
        {
            e.Add("provisionFd", (int)provision.Fd);
        }
    }

    /// <summary>SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS.</summary>
    public static void RestrictPermissions(TraceEvent e, ulong argument, IUserMemory memory)
    {
        if (TryRead(e, argument, memory, out SgxEnclaveRestrictPermissions restrict))
        {
            e.Add("offset", restrict.Offset).Add("length", restrict.Length)
                .Add("permissions", TraceNames.Permissions((SecInfoFlags)restrict.Permissions));
        }
    }

    /// <summary>SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS, afterwards.</summary>
    public static void RestrictPermissionsResult(TraceEvent e, ulong argument, IUserMemory memory)
    {
        if (memory.TryReadStruct(argument, out SgxEnclaveRestrictPermissions restrict))
        {
            e.Add("result", TraceNames.Of((SgxError)restrict.Result)).Add("count", restrict.Count);
        }
    }

    /// <summary>SGX_IOC_ENCLAVE_MODIFY_TYPES.</summary>
    public static void ModifyTypes(TraceEvent e, ulong argument, IUserMemory memory)
    {
        if (TryRead(e, argument, memory, out SgxEnclaveModifyTypes modify))
        {
            e.Add("offset", modify.Offset).Add("length", modify.Length)
                .Add("pageType", modify.PageType <= byte.MaxValue ? TraceNames.Of((PageType)modify.PageType) : "invalid");
        }
    }

    /// <summary>SGX_IOC_ENCLAVE_MODIFY_TYPES, afterwards.</summary>
    public static void ModifyTypesResult(TraceEvent e, ulong argument, IUserMemory memory)
    {
        if (memory.TryReadStruct(argument, out SgxEnclaveModifyTypes modify))
        {
            e.Add("result", TraceNames.Of((SgxError)modify.Result)).Add("count", modify.Count);
        }
    }

    /// <summary>SGX_IOC_ENCLAVE_REMOVE_PAGES.</summary>
    public static void RemovePages(TraceEvent e, ulong argument, IUserMemory memory)
    {
        if (TryRead(e, argument, memory, out SgxEnclaveRemovePages remove))
        {
            e.Add("offset", remove.Offset).Add("length", remove.Length);
        }
    }

    /// <summary>SGX_IOC_ENCLAVE_REMOVE_PAGES, afterwards.</summary>
    public static void RemovePagesResult(TraceEvent e, ulong argument, IUserMemory memory)
    {
        if (memory.TryReadStruct(argument, out SgxEnclaveRemovePages remove))
        {
            e.Add("count", remove.Count);
        }
    }

    private static void AddSecInfo(TraceEvent e, ulong address, IUserMemory memory)
    {
        if (memory.TryReadStruct(address, out SecInfo secInfo))
        {
            e.Add("secInfo", TraceNames.Of(in secInfo));
        }
        else
        {
            e.Add("secInfo", address, null);
        }
    }

    // An argument that cannot be read is shown as the address that it is.
    private static bool TryRead<T>(TraceEvent e, ulong argument, IUserMemory memory, out T value)
        where T : unmanaged
    {
        if (memory.TryReadStruct(argument, out value))
        {
            return true;
        }

        e.Part = TracePart.Operand;
        e.Add("argument", argument, null);
        return false;
    }
}
