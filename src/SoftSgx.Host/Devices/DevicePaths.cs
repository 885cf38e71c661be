using SoftSgx.Host.Interop;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Devices;

/// <summary>Tells whether a path that a program names is one of the devices.</summary>
/// <remarks>
/// Every look-up of a path by the program comes here, so the usual answer (no) costs a comparison of the last component; only a
/// path that ends like a device's is resolved against the working directory or the directory descriptor.
/// </remarks>
internal static class DevicePaths
{
    /// <summary>PATH_MAX of linux/limits.h, with the NUL.</summary>
    internal const int MaximumPath = 4096;

    internal static DeviceNode Find(int tid, int directory, ReadOnlySpan<byte> path)
    {
        if (!MayNameDevice(path))
        {
            return DeviceNode.None;
        }
        Span<byte> full = stackalloc byte[2 * MaximumPath];
        int length = 0;
        if (path[0] != '/')
        {
            length = ReadDirectory(tid, directory, full[..MaximumPath]);
            if (length <= 0)
            {
                return DeviceNode.None;
            }
            full[length++] = (byte)'/';
        }
        path.CopyTo(full[length..]);
        length = Normalize(full[..(length + path.Length)]);
        DeviceNode node = Match(full[..length]);
        bool asDirectory = path.EndsWith("/"u8) || path.EndsWith("/."u8);
        return node != DeviceNode.None && asDirectory ? DeviceNode.NotDirectory : node;
    }

    private static bool MayNameDevice(ReadOnlySpan<byte> path)
    {
        ReadOnlySpan<byte> trimmed = path.TrimEnd("/."u8);
        return trimmed.EndsWith("sgx_enclave"u8) || trimmed.EndsWith("sgx_provision"u8) || trimmed.EndsWith("enclave"u8)
            || trimmed.EndsWith("provision"u8);
    }

    private static DeviceNode Match(ReadOnlySpan<byte> path) =>
        path.SequenceEqual("/dev/sgx_enclave"u8) ? DeviceNode.Enclave
        : path.SequenceEqual("/dev/sgx_provision"u8) ? DeviceNode.Provision
        : path.SequenceEqual("/dev/sgx/enclave"u8) ? DeviceNode.EnclaveV22
        : path.SequenceEqual("/dev/sgx/provision"u8) ? DeviceNode.ProvisionV22
        : DeviceNode.None;

    /// <summary>Removes empty, "." and ".." components in place; the new length.</summary>
    private static int Normalize(Span<byte> path)
    {
        int write = 0;
        for (int read = 0; read < path.Length;)
        {
            int start = read + 1; // path[read] is '/'
            int end = path[start..].IndexOf((byte)'/');
            end = end < 0 ? path.Length : start + end;
            ReadOnlySpan<byte> component = path[start..end];
            if (component.SequenceEqual(".."u8))
            {
                write = Math.Max(path[..write].LastIndexOf((byte)'/'), 0);
            }
            else if (!component.IsEmpty && !component.SequenceEqual("."u8))
            {
                path[write] = (byte)'/';
                component.CopyTo(path[(write + 1)..]);
                write += 1 + component.Length;
            }
            read = end;
        }
        return write;
    }

    private static unsafe int ReadDirectory(int tid, int directory, Span<byte> target)
    {
        fixed (byte* path = directory == AT_FDCWD ? ProcPath.Of(tid, "cwd"u8) : ProcPath.OfDescriptor(tid, Math.Max(directory, 0)))
        fixed (byte* buffer = target)
        {
            return (int)Libc.ReadLink(path, buffer, (nuint)target.Length - 1);
        }
    }
}
