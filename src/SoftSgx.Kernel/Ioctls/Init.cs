using System.Runtime.InteropServices;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel;

/// <summary>
/// SGX_IOC_ENCLAVE_INIT: has the enclave's signature verified, after which it can be entered.
/// Behaviour: sgx_ioc_enclave_init and sgx_encl_init in arch/x86/kernel/cpu/sgx/ioctl.c.
/// </summary>
/// <remarks>
/// EINVAL: not created, or initialised already; a vendor other than 0 and 0x8086; SIGSTRUCT demands an attribute, MISCSELECT
/// or XFRM bit that the processor lacks. EFAULT: the argument or SIGSTRUCT cannot be read. EACCES: the enclave has an attribute
/// that was not allowed, or the security module refuses. EIO: EINIT faulted. EPERM: EINIT returned an error code. ERESTARTSYS: a
/// signal came in between.
/// With <see cref="DeviceAbi.V22"/>: EFAULT if initialised already, EINVAL for an attribute that was not allowed, no other check of
/// SIGSTRUCT than EINIT's, the error code of EINIT as a positive return value, and if EINIT faulted EFAULT and the enclave's end.
/// </remarks>
internal static class Init
{
    /// <summary>Attempts of EINIT that meet an unmasked event before the caller sleeps.</summary>
    public const int SGX_EINIT_SPIN_COUNT = 20;

    /// <summary>Sleeps before INIT gives up.</summary>
    public const int SGX_EINIT_SLEEP_COUNT = 50;

    /// <summary>Length of a sleep in milliseconds.</summary>
    public const int SGX_EINIT_SLEEP_TIME = 20;

    private const AttributeFlags KnownAttributes =
        AttributeFlags.INIT | AttributeFlags.DEBUG | AttributeFlags.MODE64BIT | AttributeFlags.PROVISIONKEY |
        AttributeFlags.EINITTOKEN_KEY | AttributeFlags.KSS | AttributeFlags.AEXNOTIFY;

    private const MiscSelect KnownMiscSelect = MiscSelect.EXINFO;

    /// <summary>Executes the ioctl.</summary>
    public static Errno Execute(Enclave enclave, ulong argument, IoctlCall call)
    {
        if (!enclave.IsCreated)
        {
            return Errno.EINVAL;
        }

        if (enclave.IsInitialized)
        {
            return enclave.Abi == DeviceAbi.V22 ? Errno.EFAULT : Errno.EINVAL;
        }

        if (!call.Memory.TryReadStruct(argument, out SgxEnclaveInit init))
        {
            return Errno.EFAULT;
        }

        Span<byte> bytes = stackalloc byte[SigStruct.Size];
        if (!call.Memory.TryRead(init.SigStruct, bytes))
        {
            return Errno.EFAULT;
        }

        ref readonly SigStruct sigStruct = ref MemoryMarshal.AsRef<SigStruct>(bytes);
        Errno errno = Check(enclave, in sigStruct);
        if (errno == Errno.None)
        {
            errno = enclave.Subsystem.Options.Security?.Init(enclave, in sigStruct) ?? Errno.None;
        }

        return errno == Errno.None ? Initialize(enclave, bytes, in sigStruct, call) : errno;
    }

    private static Errno Check(Enclave enclave, in SigStruct sigStruct)
    {
        bool isAllowed = (enclave.Attributes & ~enclave.AllowedAttributes) == 0;
        if (enclave.Abi == DeviceAbi.V22)
        {
            return isAllowed ? Errno.None : Errno.EINVAL;
        }

        ProcessorConfiguration processor = enclave.Subsystem.Processor.Configuration;
        AttributeFlags attributes = processor.SettableAttributes & KnownAttributes;
        MiscSelect miscSelect = processor.MiscSelect & KnownMiscSelect;
        if (sigStruct.Vendor is not (0 or SigStruct.VendorIntel))
        {
            return Errno.EINVAL;
        }

        if (!isAllowed)
        {
            return Errno.EACCES;
        }

        if ((sigStruct.Attributes.Flags & sigStruct.AttributeMask.Flags & ~attributes) != 0)
        {
            return Errno.EINVAL;
        }

        if ((sigStruct.MiscSelect & sigStruct.MiscMask & ~miscSelect) != 0)
        {
            return Errno.EINVAL;
        }

        if ((sigStruct.Attributes.Xfrm & sigStruct.AttributeMask.Xfrm & ~processor.SettableXfrm) != 0)
        {
            return Errno.EINVAL;
        }

        return Errno.None;
    }

    private static Errno Initialize(Enclave enclave, ReadOnlySpan<byte> bytes, in SigStruct sigStruct, IoctlCall call)
    {
        Span<byte> token = stackalloc byte[EInitToken.Size]; // all zero: launch control accepts the signer instead
        token.Clear();
        lock (enclave.Lock)
        {
            if (enclave.IsDead)
            {
                return Errno.EBADF;
            }

            ReadOnlySpan<byte> modulus = Bytes.Of(in sigStruct.Modulus);
            if (!TryEInit(enclave, bytes, modulus, token, call, out LeafResult result))
            {
                return Errno.ERESTARTSYS;
            }

            if (result.IsSuccess)
            {
                enclave.OnInitialized();
            }

            if (result.Status == LeafStatus.Fault && enclave.Abi == DeviceAbi.V22)
            {
                enclave.Destroy();
            }

            return ToErrno(in result, enclave.Abi);
        }
    }

    /// <summary>Repeats EINIT while unmasked events interrupt it.</summary>
    /// <returns><see langword="false"/> if a signal is pending after a sleep.</returns>
    private static bool TryEInit(
        Enclave enclave,
        ReadOnlySpan<byte> sigStruct,
        ReadOnlySpan<byte> modulus,
        ReadOnlySpan<byte> token,
        IoctlCall call,
        out LeafResult result)
    {
        SgxSubsystem subsystem = enclave.Subsystem;
        result = default;
        for (int sleep = 0; sleep < SGX_EINIT_SLEEP_COUNT; sleep++)
        {
            for (int spin = 0; spin < SGX_EINIT_SPIN_COUNT; spin++)
            {
                // Another enclave's INIT may have changed the registers of this logical processor since the last attempt.
                LaunchControl.AcceptSigner(subsystem.Processor.Configuration, call.LogicalProcessor, modulus);
                result = subsystem.Encls.EInit(call.LogicalProcessor, sigStruct, enclave.SecsPage, token);
                if (!IsUnmaskedEvent(in result))
                {
                    return true;
                }
            }

            subsystem.Options.Delay(TimeSpan.FromMilliseconds(SGX_EINIT_SLEEP_TIME));
            if (call.Memory.IsSignalPending)
            {
                return false;
            }
        }

        return true;
    }

    private static bool IsUnmaskedEvent(in LeafResult result)
        => result.Status == LeafStatus.Error && result.Error == SgxError.SGX_UNMASKED_EVENT;

    private static Errno ToErrno(in LeafResult result, DeviceAbi abi) => result.Status switch
    {
        LeafStatus.Success => Errno.None,
        LeafStatus.Fault => abi == DeviceAbi.V22 ? Errno.EFAULT : Errno.EIO,
        _ when abi == DeviceAbi.V22 => (Errno)(-(int)result.Error),
        _ => Errno.EPERM,
    };
}
