using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>
/// SGX_IOC_ENCLAVE_ADD_PAGE of <see cref="DeviceAbi.V22"/>: copies one page into an enclave that is being built.
/// Behaviour: sgx_ioc_enclave_add_page in arch/x86/kernel/cpu/sgx/ioctl.c of the patch series v22.
/// </summary>
/// <remarks>
/// The address is absolute, and each bit of the mask measures 256 bytes. EINVAL: not created; address or source not aligned, address
/// beyond the enclave; SECINFO that the kernel refuses. EFAULT: argument or SECINFO cannot be read; initialised already; EADD or
/// EEXTEND failed, and EEXTEND destroys the enclave by that. ENOMEM, EEXIST, EFAULT, EACCES for the page: see
/// <see cref="PageAdder.Add(ulong, ulong, ushort)"/>.
/// </remarks>
internal static class AddPage
{
    /// <summary>Executes the ioctl.</summary>
    public static Errno Execute(Enclave enclave, ulong argument, IoctlCall call)
    {
        if (!enclave.IsCreated)
        {
            return Errno.EINVAL;
        }

        if (!call.Memory.TryReadStruct(argument, out SgxEnclaveAddPage add))
        {
            return Errno.EFAULT;
        }

        if (add.Addr % EpcPool.PageSize != 0)
        {
            return Errno.EINVAL;
        }

        if (add.Src % EpcPool.PageSize != 0)
        {
            return Errno.EINVAL;
        }

        ulong offset = unchecked(add.Addr - enclave.Base);
        if (offset >= enclave.Size)
        {
            return Errno.EINVAL;
        }

        if (!call.Memory.TryReadStruct(add.SecInfo, out SecInfo secInfo))
        {
            return Errno.EFAULT;
        }

        if (!PageAdder.IsValid(in secInfo))
        {
            return Errno.EINVAL;
        }

        if (enclave.IsInitialized)
        {
            return Errno.EFAULT;
        }

        enclave.OnAddPage();
        var adder = new PageAdder(enclave, in secInfo, call.Memory, stackalloc byte[EpcPool.PageSize], DeviceAbi.V22);
        Errno errno = adder.Add(offset, add.Src, add.MrMask);
        if (adder.IsMeasurementBroken)
        {
            enclave.Destroy();
        }

        return errno;
    }
}
