namespace SoftSgx.Kernel;

/// <summary>
/// SGX_IOC_ENCLAVE_REMOVE_PAGES: removes pages that were trimmed and whose trimming the enclave accepted.
/// Behaviour: sgx_ioc_enclave_remove_pages in arch/x86/kernel/cpu/sgx/ioctl.c.
/// </summary>
/// <remarks>
/// ENODEV: no SGX2. EINVAL: not initialised; the range; count not zero. EPERM: a page that is not PT_TRIM or not accepted yet.
/// EFAULT: the argument cannot be read or written back; no page. EAGAIN, EBUSY: the page is being reclaimed. The pages before stay
/// removed: <see cref="SgxEnclaveRemovePages.Count"/> tells how many bytes they are.
/// </remarks>
internal static class RemovePages
{
    /// <summary>Executes the ioctl.</summary>
    public static Errno Execute(Enclave enclave, ulong argument, IoctlCall call)
    {
        Errno ready = Sgx2.Ready(enclave);
        if (ready != Errno.None)
        {
            return ready;
        }

        if (!call.Memory.TryReadStruct(argument, out SgxEnclaveRemovePages remove))
        {
            return Errno.EFAULT;
        }

        if (!PageRange.IsValid(enclave, remove.Offset, remove.Length))
        {
            return Errno.EINVAL;
        }

        if (remove.Count != 0)
        {
            return Errno.EINVAL;
        }

        Errno errno = Errno.None;
        while (remove.Count < remove.Length && errno == Errno.None)
        {
            enclave.Subsystem.ReclaimIfLow();
            errno = enclave.RemoveTrimmed(remove.Offset + remove.Count);
            remove.Count += errno == Errno.None ? (ulong)EpcPool.PageSize : 0;
        }

        return call.Memory.TryWriteStruct(argument, in remove) ? errno : Errno.EFAULT;
    }
}
