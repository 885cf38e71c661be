using System.Numerics;
using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>
/// SGX_IOC_ENCLAVE_CREATE: makes the enclave's SECS.
/// Behaviour: sgx_ioc_enclave_create in arch/x86/kernel/cpu/sgx/ioctl.c.
/// </summary>
/// <remarks>
/// EINVAL: already created; the size is no power of two, or beyond what a backing file can have. EFAULT: the argument or the
/// SECS cannot be read. ENOMEM: no EPC page for the SECS or its version array is free or reclaimable, or the host
/// cannot hold an enclave of that size. EACCES: the security module refuses. EIO: ECREATE failed. With
/// <see cref="DeviceAbi.V22"/> the kernel validates the SECS by itself, with EINVAL.
/// </remarks>
internal static class Create
{
    // A backing file must hold the enclave, its SECS and 1/32 of that for PCMDs, and a file offset is a signed 64-bit number.
    private const ulong LargestBackedSize = 1UL << 62;

    /// <summary>Executes the ioctl.</summary>
    public static Errno Execute(Enclave enclave, ulong argument, IoctlCall call)
    {
        if (enclave.IsCreated)
        {
            return Errno.EINVAL;
        }

        if (!call.Memory.TryReadStruct(argument, out SgxEnclaveCreate create))
        {
            return Errno.EFAULT;
        }

        Span<byte> source = stackalloc byte[Secs.Size];
        if (!call.Memory.TryRead(create.Src, source))
        {
            return Errno.EFAULT;
        }

        ref readonly Secs secs = ref MemoryMarshal.AsRef<Secs>(source);
        if (!BitOperations.IsPow2(secs.EnclaveSize))
        {
            return Errno.EINVAL;
        }

        if (enclave.Abi == DeviceAbi.V22 && !SecsRules.AreKept(in secs, enclave.Subsystem.Processor.Configuration))
        {
            return Errno.EINVAL;
        }

        if (secs.EnclaveSize > LargestBackedSize)
        {
            return Errno.EINVAL;
        }

        Errno allowed = enclave.Subsystem.Options.Security?.Create(enclave, secs.Attributes.Flags) ?? Errno.None;
        if (allowed != Errno.None)
        {
            return allowed;
        }

        return CreateSecs(enclave, in secs, source);
    }

    private static Errno CreateSecs(Enclave enclave, in Secs secs, ReadOnlySpan<byte> source)
    {
        SgxSubsystem subsystem = enclave.Subsystem;
        Errno grown = enclave.VersionArrays.Grow(out int versionArray);
        if (grown != Errno.None)
        {
            return grown;
        }

        if (!subsystem.TryAllocateEpcPage(PageType.PT_SECS, out int secsPage))
        {
            enclave.VersionArrays.Undo(versionArray);
            return Errno.ENOMEM;
        }

        subsystem.Platform.AttachPrivate(secsPage);
        Errno errno = ExecuteLeaf(enclave, in secs, source, secsPage, versionArray);
        if (errno != Errno.None)
        {
            subsystem.Platform.DetachPrivate(secsPage);
            subsystem.Pool.Return(secsPage);
            enclave.VersionArrays.Undo(versionArray);
        }

        return errno;
    }

    private static Errno ExecuteLeaf(Enclave enclave, in Secs secs, ReadOnlySpan<byte> source, int secsPage, int versionArray)
    {
        IEncls encls = enclave.Subsystem.Encls;
        if (!encls.ECreate(source, secsPage).IsSuccess)
        {
            return Errno.EIO;
        }

        if (!enclave.TryBegin(in secs, secsPage, versionArray))
        {
            encls.ERemove(secsPage);
            return Errno.ENOMEM;
        }

        return Errno.None;
    }
}
