using System.Security.Cryptography;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel;

/// <summary>
/// Flexible launch control: whose enclaves EINIT accepts without a token.
/// SDM vol. 3D, "Intel SGX Launch Control Configuration"; in Linux, sgx_update_lepubkeyhash of main.c.
/// </summary>
internal static class LaunchControl
{
    /// <summary>
    /// Writes IA32_SGXLEPUBKEYHASH0 to 3 of a logical processor, so that it accepts every enclave of one signer: the policy of
    /// Linux is that whoever may open the device may run any enclave.
    /// </summary>
    /// <param name="logicalProcessor">The logical processor that will execute EINIT.</param>
    /// <param name="modulus">The signer's RSA modulus, 384 bytes, little-endian.</param>
    public static void AcceptSigner(LogicalProcessor logicalProcessor, ReadOnlySpan<byte> modulus)
    {
        Hash256 signer = default;
        SHA256.HashData(modulus, signer.AsSpan());
        logicalProcessor.LePubKeyHash = signer;
    }
}
