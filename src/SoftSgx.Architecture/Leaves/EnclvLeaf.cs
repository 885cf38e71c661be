namespace SoftSgx.Architecture;

/// <summary>
/// Virtualisation leaf functions of SGX: the value of EAX at ENCLV.
/// SDM vol. 3D, "Intel SGX instruction set: virtualization functions".
/// </summary>
public enum EnclvLeaf : uint
{
    /// <summary>Decrement the count of virtual children of a SECS.</summary>
    EDECVIRTCHILD = 0x00,

    /// <summary>Increment the count of virtual children of a SECS.</summary>
    EINCVIRTCHILD = 0x01,

    /// <summary>Set the context field of a SECS.</summary>
    ESETCONTEXT = 0x02,
}
