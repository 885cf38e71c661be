namespace SoftSgx.Host.Devices;

/// <summary>
/// The device nodes' permissions. To be able to open the enclave device is the right to run enclaves; to be able to open the provisioning
/// device, the right to the provisioning key.
/// </summary>
public sealed record DeviceAccess
{
    /// <summary>Whether there are devices at all; see <see cref="Kernel.EnclaveDevice.IsPresent"/>.</summary>
    internal bool AreThere { get; init; } = true;

    /// <summary>Of the enclave device.</summary>
    public DevicePermission Enclave { get; init; } = DevicePermission.Everyone;

    /// <summary>Of the provisioning device.</summary>
    public DevicePermission Provision { get; init; } = DevicePermission.Everyone;

    /// <summary>The permission of a node.</summary>
    internal DevicePermission Of(DeviceNode node) => node is DeviceNode.Provision or DeviceNode.ProvisionV22 ? Provision : Enclave;

    /// <summary>Whether a thread may access a node. The credentials are looked at only where not everybody may.</summary>
    /// <param name="node">The node.</param>
    /// <param name="tid">The thread.</param>
    /// <param name="access">4 reading, 2 writing, 1 executing, or several.</param>
    /// <param name="asReal">As access(2) asks, with the real ids.</param>
    internal bool Allows(DeviceNode node, int tid, uint access, bool asReal = false)
    {
        DevicePermission permission = Of(node);
        return (access & permission.Mode & (permission.Mode >> 3) & (permission.Mode >> 6)) == access
            || permission.Allows(Credentials.Of(tid, asReal), access);
    }
}
