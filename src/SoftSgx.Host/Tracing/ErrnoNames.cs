using System.Globalization;

namespace SoftSgx.Host.Tracing;

/// <summary>Names of error numbers: asm-generic/errno-base.h, and those of errno.h that calls on files and memory give.</summary>
internal static class ErrnoNames
{
    private static readonly string[] s_base =
    [
        "EPERM", "ENOENT", "ESRCH", "EINTR", "EIO", "ENXIO", "E2BIG", "ENOEXEC", "EBADF", "ECHILD", "EAGAIN", "ENOMEM", "EACCES",
        "EFAULT", "ENOTBLK", "EBUSY", "EEXIST", "EXDEV", "ENODEV", "ENOTDIR", "EISDIR", "EINVAL", "ENFILE", "EMFILE", "ENOTTY",
        "ETXTBSY", "EFBIG", "ENOSPC", "ESPIPE", "EROFS", "EMLINK", "EPIPE", "EDOM", "ERANGE", "EDEADLK", "ENAMETOOLONG", "ENOLCK",
        "ENOSYS", "ENOTEMPTY", "ELOOP",
    ];

    /// <summary>The name of a positive error number; the number itself if it has none here.</summary>
    internal static string Of(long errno) => errno switch
    {
        > 0 when errno <= s_base.Length => s_base[errno - 1],
        61 => "ENODATA",
        75 => "EOVERFLOW",
        95 => "EOPNOTSUPP",
        512 => "ERESTARTSYS",
        _ => string.Create(CultureInfo.InvariantCulture, $"errno {errno}"),
    };
}
