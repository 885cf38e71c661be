using SoftSgx.Host.Interop;
using SoftSgx.Host.Supervision;
using SoftSgx.Kernel;

namespace SoftSgx.Host.Devices;

/// <summary>The open files of the process that makes an ioctl.</summary>
internal sealed class ProcessFiles : IFileTable
{
    private readonly OpenDevices _devices;

    internal ProcessFiles(OpenDevices devices) => _devices = devices;

    /// <summary>The calling thread.</summary>
    internal int Tid { get; set; }

    /// <inheritdoc/>
    public bool IsProvisionDevice(int fd) =>
        FileIdentity.TryOf(Tid, fd, out FileIdentity file) && _devices.IsProvision(file) && !DeviceCalls.IsPathOnly(Tid, fd);
}
