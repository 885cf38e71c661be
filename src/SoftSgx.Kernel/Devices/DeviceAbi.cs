namespace SoftSgx.Kernel;

/// <summary>
/// Which generation of the driver's interface an opener expects. CREATE and INIT have the same numbers in both, so the device's
/// path tells them apart.
/// </summary>
public enum DeviceAbi
{
    /// <summary><c>/dev/sgx_enclave</c>: Linux 5.11 and later.</summary>
    Mainline,

    /// <summary>
    /// <c>/dev/sgx/enclave</c>: the patch series v22 of 2019. Today's systems link this path to the mainline device, so an
    /// opener may use the mainline ioctls as well.
    /// </summary>
    V22,
}
