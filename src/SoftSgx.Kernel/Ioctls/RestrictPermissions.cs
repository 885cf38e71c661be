using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>
/// SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS: takes EPCM permissions away from pages of an enclave that runs.
/// Behaviour: sgx_ioc_enclave_restrict_permissions in arch/x86/kernel/cpu/sgx/ioctl.c.
/// </summary>
/// <remarks>
/// ENODEV: no SGX2. EINVAL: not initialised; the range; unknown permissions, W without R; result or count not zero; a page that is
/// not PT_REG. EFAULT: the argument cannot be read or written back; no page; EMODPR failed, with its code in
/// <see cref="SgxEnclaveRestrictPermissions.Result"/>. EAGAIN: the page is being reclaimed, or a thread inside holds it as part of
/// its SSA frame. The pages before stay restricted: <see cref="SgxEnclaveRestrictPermissions.Count"/> tells how many bytes they are.
/// </remarks>
internal static class RestrictPermissions
{
    /// <summary>Executes the ioctl.</summary>
    public static Errno Execute(Enclave enclave, ulong argument, IoctlCall call)
    {
        Errno ready = Sgx2.Ready(enclave);
        if (ready != Errno.None)
        {
            return ready;
        }

        if (!call.Memory.TryReadStruct(argument, out SgxEnclaveRestrictPermissions restrict))
        {
            return Errno.EFAULT;
        }

        if (!PageRange.IsValid(enclave, restrict.Offset, restrict.Length))
        {
            return Errno.EINVAL;
        }

        var permissions = (SecInfoFlags)restrict.Permissions;
        if ((permissions & ~SecInfoFlags.RWX) != 0)
        {
            return Errno.EINVAL;
        }

        if ((permissions & (SecInfoFlags.R | SecInfoFlags.W)) == SecInfoFlags.W)
        {
            return Errno.EINVAL;
        }

        if (restrict.Result != 0 || restrict.Count != 0)
        {
            return Errno.EINVAL;
        }

        Errno errno = Errno.None;
        while (restrict.Count < restrict.Length && errno == Errno.None)
        {
            enclave.Subsystem.ReclaimIfLow();
            errno = enclave.RestrictPermissions(restrict.Offset + restrict.Count, permissions, out SgxError result);
            restrict.Result = (ulong)result;
            restrict.Count += errno == Errno.None ? (ulong)EpcPool.PageSize : 0;
        }

        return call.Memory.TryWriteStruct(argument, in restrict) ? errno : Errno.EFAULT;
    }
}
