using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>
/// SGX_IOC_ENCLAVE_MODIFY_TYPES: makes pages of an enclave that runs a TCS, or trims them.
/// Behaviour: sgx_ioc_enclave_modify_types in arch/x86/kernel/cpu/sgx/ioctl.c.
/// </summary>
/// <remarks>
/// ENODEV: no SGX2. EINVAL: not initialised; the range; a type other than PT_TCS and PT_TRIM; result or count not zero; a page whose
/// type cannot become that one. EPERM: PT_REG becomes PT_TCS without read and write among its maximum protection. EFAULT: the argument
/// cannot be read or written back; no page; EMODT failed, with its code in <see cref="SgxEnclaveModifyTypes.Result"/>. EAGAIN: the
/// page is being reclaimed, or a thread inside holds it as its TCS or part of its SSA frame. The pages before stay changed:
/// <see cref="SgxEnclaveModifyTypes.Count"/> tells how many bytes they are.
/// </remarks>
internal static class ModifyTypes
{
    /// <summary>Executes the ioctl.</summary>
    public static Errno Execute(Enclave enclave, ulong argument, IoctlCall call)
    {
        Errno ready = Sgx2.Ready(enclave);
        if (ready != Errno.None)
        {
            return ready;
        }

        if (!call.Memory.TryReadStruct(argument, out SgxEnclaveModifyTypes modify))
        {
            return Errno.EFAULT;
        }

        if (!PageRange.IsValid(enclave, modify.Offset, modify.Length))
        {
            return Errno.EINVAL;
        }

        if (modify.PageType > byte.MaxValue)
        {
            return Errno.EINVAL;
        }

        if (modify.Result != 0 || modify.Count != 0)
        {
            return Errno.EINVAL;
        }

        Errno errno = (PageType)modify.PageType is PageType.PT_TCS or PageType.PT_TRIM ? Errno.None : Errno.EINVAL;
        while (modify.Count < modify.Length && errno == Errno.None)
        {
            enclave.Subsystem.ReclaimIfLow();
            errno = enclave.ModifyType(modify.Offset + modify.Count, (PageType)modify.PageType, out SgxError result);
            modify.Result = (ulong)result;
            modify.Count += errno == Errno.None ? (ulong)EpcPool.PageSize : 0;
        }

        return call.Memory.TryWriteStruct(argument, in modify) ? errno : Errno.EFAULT;
    }
}
