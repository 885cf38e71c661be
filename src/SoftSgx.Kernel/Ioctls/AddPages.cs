using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>
/// SGX_IOC_ENCLAVE_ADD_PAGES: copies a range of pages into an enclave that is being built.
/// Behaviour: sgx_ioc_enclave_add_pages in arch/x86/kernel/cpu/sgx/ioctl.c.
/// </summary>
/// <remarks>
/// EINVAL: not created, or initialised already; source or offset not aligned, length zero or not aligned, range beyond the
/// enclave; SECINFO that the kernel refuses. EFAULT: argument or SECINFO cannot be read, or the argument not written back.
/// ENOMEM, EBUSY, EFAULT, EACCES, EIO for a page: see <see cref="PageAdder.Add(ulong, ulong, ushort)"/>. The pages before it
/// stay, and <see cref="SgxEnclaveAddPages.Count"/> tells how many bytes they are. A pending signal ends the call: ERESTARTSYS if
/// no page was added, otherwise success with a short count.
/// </remarks>
internal static class AddPages
{
    /// <summary>Executes the ioctl.</summary>
    public static Errno Execute(Enclave enclave, ulong argument, IoctlCall call)
    {
        if (!enclave.IsCreated || enclave.IsInitialized)
        {
            return Errno.EINVAL;
        }

        if (!call.Memory.TryReadStruct(argument, out SgxEnclaveAddPages add))
        {
            return Errno.EFAULT;
        }

        if (add.Src % EpcPool.PageSize != 0)
        {
            return Errno.EINVAL;
        }

        if (!PageRange.IsValid(enclave, add.Offset, add.Length))
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

        Errno errno = AddRange(enclave, ref add, in secInfo, call.Memory);
        return call.Memory.TryWriteStruct(argument, in add) ? errno : Errno.EFAULT;
    }

    private static Errno AddRange(Enclave enclave, ref SgxEnclaveAddPages add, in SecInfo secInfo, IUserMemory memory)
    {
        ushort measure = (add.Flags & SgxEnclaveAddPages.SGX_PAGE_MEASURE) != 0 ? PageAdder.WholePage : (ushort)0;
        var adder = new PageAdder(enclave, in secInfo, memory, stackalloc byte[EpcPool.PageSize], DeviceAbi.Mainline);
        Errno errno = Errno.None;
        ulong done = 0;
        while (done < add.Length && errno == Errno.None)
        {
            if (memory.IsSignalPending)
            {
                errno = done == 0 ? Errno.ERESTARTSYS : Errno.None;
                break;
            }

            adder.Remaining = add.Length - done;
            errno = adder.Add(add.Offset + done, unchecked(add.Src + done), measure);
            if (errno == Errno.None)
            {
                done += EpcPool.PageSize;
            }
        }

        add.Count = done;
        return errno;
    }
}
