using System.Diagnostics.CodeAnalysis;
using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Interop;

namespace SoftSgx.Host.Devices;

/// <summary>Every open device of every supervised process, known by inode: descriptors are duplicated, inherited and passed on.</summary>
/// <remarks>Under the supervisor's lock, but for <see cref="IsProvision"/>, which the kernel layer asks in the middle of an ioctl.</remarks>
internal sealed class OpenDevices
{
    private readonly Dictionary<FileIdentity, OpenEnclave> _enclaves = [];
    private readonly HashSet<FileIdentity> _provisioning = [];
    private readonly List<OpenEnclave> _gone = [];

    /// <summary>True if a device was ever opened and may still be.</summary>
    internal bool Any => _enclaves.Count + _provisioning.Count > 0;

    internal bool TryFind(FileIdentity file, [NotNullWhen(true)] out OpenEnclave? enclave) => _enclaves.TryGetValue(file, out enclave);

    internal bool IsProvision(FileIdentity file)
    {
        lock (_provisioning)
        {
            return _provisioning.Contains(file);
        }
    }

    internal void Add(OpenEnclave enclave) => _enclaves.Add(enclave.Inode.Identity, enclave);

    internal void AddProvision(FileIdentity file)
    {
        lock (_provisioning)
        {
            _provisioning.Add(file);
        }
    }

    /// <summary>
    /// Ends every enclave whose last descriptor and mapping are gone. Called when that may have happened: a mapping was removed, a
    /// process ended, a device is opened, or the EPC is short.
    /// </summary>
    /// <returns>True if pages became free.</returns>
    internal bool ReleaseUnreferenced()
    {
        foreach (OpenEnclave enclave in _enclaves.Values)
        {
            if (enclave.Calls == 0 && !enclave.Inode.IsReferencedByProgram)
            {
                _gone.Add(enclave);
            }
        }
        bool any = false;
        foreach (OpenEnclave enclave in _gone)
        {
            int before = enclave.Enclave.PageCount;
            enclave.Enclave.Release();
            // A thread that is still inside, though nothing is mapped any more, keeps its pages: they go the next time.
            if (enclave.Enclave.PageCount == 0)
            {
                _enclaves.Remove(enclave.Inode.Identity);
            }
            any |= enclave.Enclave.PageCount < before;
        }
        _gone.Clear();
        return any;
    }
}
