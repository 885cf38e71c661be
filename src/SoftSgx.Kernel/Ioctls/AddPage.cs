using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>
/// SGX_IOC_ENCLAVE_ADD_PAGE of <see cref="DeviceAbi.V22"/>: copies one page into an enclave that is being built.
/// Behaviour: the patch series v22, Documentation/x86/sgx.rst and drivers/…/ioctl.c of it.
/// </summary>
/// <remarks>
/// As ADD_PAGES, but the address is absolute, each bit of the mask measures 256 bytes, a failure of EADD or EEXTEND is EFAULT,
/// and a failure of EEXTEND destroys the enclave.
/// </remarks>
internal static class AddPage
{
    /// <summary>Executes the ioctl.</summary>
    public static Errno Execute(Enclave enclave, ulong argument, IoctlCall call)
    {
        if (!enclave.IsCreated || enclave.IsInitialized)
        {
            return Errno.EINVAL;
        }

        if (!call.Memory.TryReadStruct(argument, out SgxEnclaveAddPage add))
        {
            return Errno.EFAULT;
        }

        if (!call.Memory.TryReadStruct(add.SecInfo, out SecInfo secInfo))
        {
            return Errno.EFAULT;
        }

        if (!PageAdder.IsValid(in secInfo))
        {
            return Errno.EINVAL;
        }

        ulong offset = unchecked(add.Addr - enclave.Base);
        if (add.Addr % EpcPool.PageSize != 0 || offset >= enclave.Size)
        {
            return Errno.EINVAL;
        }

        enclave.OnAddPage();
        var adder = new PageAdder(enclave, in secInfo, call.Memory, stackalloc byte[EpcPool.PageSize], Errno.EFAULT);
        Errno errno = adder.Add(offset, add.Src, add.MrMask);
        if (adder.IsMeasurementBroken)
        {
            enclave.Destroy();
        }

        return errno;
    }
}
