namespace SoftSgx.Kernel;

/// <summary>
/// The error numbers with which a system call answers, as positive numbers; a host returns them negated.
/// Defined by Linux for x86-64 in include/uapi/asm-generic/errno-base.h and errno.h.
/// </summary>
/// <remarks>
/// A negative value is no error number: its absolute value is the positive value that the call returns. Only INIT of
/// <see cref="DeviceAbi.V22"/> does that, with an SGX error code. A host that returns <c>-(long)errno</c> gets every case right.
/// </remarks>
public enum Errno
{
    /// <summary>Success: the call returns 0.</summary>
    None = 0,

    /// <summary>The operation is not permitted.</summary>
    EPERM = 1,

    /// <summary>There is no such file.</summary>
    ENOENT = 2,

    /// <summary>A signal interrupted the call.</summary>
    EINTR = 4,

    /// <summary>The device failed: for SGX, a leaf faulted.</summary>
    EIO = 5,

    /// <summary>The file descriptor is not open.</summary>
    EBADF = 9,

    /// <summary>Try again.</summary>
    EAGAIN = 11,

    /// <summary>No memory, or no EPC page, is left.</summary>
    ENOMEM = 12,

    /// <summary>The access is denied.</summary>
    EACCES = 13,

    /// <summary>An address is not accessible.</summary>
    EFAULT = 14,

    /// <summary>The object is in use or exists already.</summary>
    EBUSY = 16,

    /// <summary>The object exists already.</summary>
    EEXIST = 17,

    /// <summary>The device, or the processor feature behind the request, does not exist.</summary>
    ENODEV = 19,

    /// <summary>An argument is invalid, or the object is in the wrong state.</summary>
    EINVAL = 22,

    /// <summary>The device does not know the ioctl command.</summary>
    ENOTTY = 25,

    /// <summary>
    /// A signal is pending and nothing was done: the kernel restarts the call or turns this into <see cref="EINTR"/>, after
    /// the signal's disposition. Never seen by a program (include/linux/errno.h).
    /// </summary>
    ERESTARTSYS = 512,
}
