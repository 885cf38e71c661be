using System.Security.Cryptography;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel;

/// <summary>
/// Flexible launch control: whose enclaves EINIT accepts without a token.
/// SDM vol. 3D, "Intel SGX Launch Control Configuration"; in Linux, sgx_update_lepubkeyhash of main.c.
/// </summary>
public static class LaunchControl
{
    /// <summary>
    /// Why there is no enclave device on a processor. Linux drives SGX only where it can choose the signer that EINIT accepts:
    /// init_ia32_feat_ctl in arch/x86/kernel/cpu/feat_ctl.c, sgx_drv_init in arch/x86/kernel/cpu/sgx/driver.c.
    /// </summary>
    /// <param name="configuration">The processor.</param>
    /// <returns>One line; <see langword="null"/> if there is a device.</returns>
    public static string? WhyNoDevice(ProcessorConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        if (!configuration.Sgx1)
        {
            return "the processor has no SGX";
        }

        if (!configuration.IsSgxEnabled)
        {
            return "firmware has not enabled SGX (IA32_FEATURE_CONTROL bits 0 and 18)";
        }

        if (!configuration.SgxLaunchControl)
        {
            return "the processor has no launch control (CPUID leaf 7, SGX_LC): only Intel's launch enclaves count, "
                + "and the kernel cannot change that";
        }

        return configuration.LaunchControlWritable
            ? null
            : $"launch control is locked (IA32_FEATURE_CONTROL bit 17 is clear) to the signer {configuration.LePubKeyHash}: "
                + "the kernel cannot set IA32_SGXLEPUBKEYHASH to the enclave's signer";
    }

    /// <summary>
    /// Writes IA32_SGXLEPUBKEYHASH0 to 3 of a logical processor, so that it accepts every enclave of one signer: the policy of
    /// Linux is that whoever may open the device may run any enclave.
    /// </summary>
    /// <param name="configuration">What the processor can do: its launch control is writable, else there were no device.</param>
    /// <param name="logicalProcessor">The logical processor that will execute EINIT.</param>
    /// <param name="modulus">The signer's RSA modulus, 384 bytes, little-endian.</param>
    internal static void AcceptSigner(ProcessorConfiguration configuration, LogicalProcessor logicalProcessor, ReadOnlySpan<byte> modulus)
    {
        Hash256 signer = default;
        SHA256.HashData(modulus, signer.AsSpan());
        // Should one logical processor be locked all the same, EINIT says that the signer needs a token.
        logicalProcessor.WriteLePubKeyHash(configuration, in signer);
    }
}
