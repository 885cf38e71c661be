using System.Buffers.Binary;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <content>
/// The model-specific registers by which firmware turns SGX on and says whose launch enclaves count.
/// SDM vol. 3D, "Intel SGX launch control configuration"; SDM vol. 4, IA32_FEATURE_CONTROL and IA32_SGXLEPUBKEYHASH0 to 3.
/// </content>
/// <remarks>
/// <code>
///   IA32_FEATURE_CONTROL        IA32_SGXLEPUBKEYHASH0…3
///   0 lock   17 LC   18 SGX     RDMSR                 WRMSR
///   clear    any     any        #GP: no SGX           #GP
///   set      any     clear      #GP: no SGX           #GP
///   set      clear   set        the hash              #GP: launch control is locked to that signer
///   set      set     set        the hash              a kernel chooses the signer
/// </code>
/// A processor without SGX_LC (CPUID leaf 7, ECX bit 30) has none of the four and keeps Intel's hash.
/// </remarks>
public sealed partial class LogicalProcessor
{
    private const int MsrSize = sizeof(ulong);

    /// <summary>IA32_FEATURE_CONTROL.</summary>
    public FeatureControl FeatureControl { get; private set; }

    /// <summary>
    /// IA32_SGXLEPUBKEYHASH0 to 3: SHA-256 of the modulus that signs launch enclaves, the first byte in bits 7:0 of the first.
    /// </summary>
    public Hash256 LePubKeyHash { get; set; }

    /// <summary>SHA-256 of the modulus that Intel signs its enclaves with: the reset value of the MSRs.</summary>
    public static ReadOnlySpan<byte> IntelPubKeyHash =>
    [
        0xac, 0xb7, 0x70, 0x12, 0x05, 0x3e, 0x05, 0xa6, 0x3d, 0x41, 0x3b, 0x8b, 0xba, 0xe8, 0xfb, 0x6c,
        0x5d, 0x73, 0xb3, 0xf2, 0x99, 0x6d, 0x91, 0xc4, 0x3b, 0xbb, 0xf9, 0x09, 0x59, 0xc0, 0xf8, 0xd4,
    ];

    /// <summary>RDMSR of one of the registers in <see cref="Msr"/>.</summary>
    /// <param name="configuration">What the processor can do.</param>
    /// <param name="msr">ECX: the number.</param>
    /// <param name="value">EDX:EAX; 0 after a fault.</param>
    /// <returns>Success, or #GP(0): there is no such register, or it cannot be read now.</returns>
    public LeafResult ReadMsr(ProcessorConfiguration configuration, uint msr, out ulong value)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        value = 0;

        if (msr == Msr.IA32_FEATURE_CONTROL)
        {
            value = (ulong)FeatureControl;
            return LeafResult.Ok;
        }

        if (!IsHashRegister(msr) || !HasHashRegisters(configuration)) return LeafResult.GeneralProtection;
        Hash256 hash = LePubKeyHash;
        value = BinaryPrimitives.ReadUInt64LittleEndian(hash.AsReadOnlySpan()[OffsetOf(msr)..]);
        return LeafResult.Ok;
    }

    /// <summary>WRMSR to one of the registers in <see cref="Msr"/>.</summary>
    /// <param name="configuration">What the processor can do.</param>
    /// <param name="msr">ECX: the number.</param>
    /// <param name="value">EDX:EAX.</param>
    /// <returns>Success, or #GP(0): there is no such register, it is locked, or a bit is reserved.</returns>
    public LeafResult WriteMsr(ProcessorConfiguration configuration, uint msr, ulong value)
    {
        ArgumentNullException.ThrowIfNull(configuration);

        if (msr == Msr.IA32_FEATURE_CONTROL)
        {
            FeatureControl known = FeatureControl.Lock
                | (configuration.Sgx1 ? FeatureControl.SgxEnable : 0)
                | (configuration.SgxLaunchControl ? FeatureControl.SgxLaunchControl : 0);
            if ((FeatureControl & FeatureControl.Lock) != 0) return LeafResult.GeneralProtection;
            if (((FeatureControl)value & ~known) != 0) return LeafResult.GeneralProtection;
            FeatureControl = (FeatureControl)value;
            return LeafResult.Ok;
        }

        if (!IsHashRegister(msr) || !HasHashRegisters(configuration)) return LeafResult.GeneralProtection;
        if ((FeatureControl & FeatureControl.SgxLaunchControl) == 0) return LeafResult.GeneralProtection;
        Hash256 hash = LePubKeyHash;
        BinaryPrimitives.WriteUInt64LittleEndian(hash.AsSpan()[OffsetOf(msr)..], value);
        LePubKeyHash = hash;
        return LeafResult.Ok;
    }

    /// <summary>WRMSR to IA32_SGXLEPUBKEYHASH0 to 3, all four at once.</summary>
    /// <returns>Success, or #GP(0) where launch control is locked or not there.</returns>
    public LeafResult WriteLePubKeyHash(ProcessorConfiguration configuration, in Hash256 hash)
    {
        ReadOnlySpan<byte> bytes = hash.AsReadOnlySpan();
        for (uint msr = Msr.IA32_SGXLEPUBKEYHASH0; msr <= Msr.IA32_SGXLEPUBKEYHASH3; msr++)
        {
            LeafResult result = WriteMsr(configuration, msr, BinaryPrimitives.ReadUInt64LittleEndian(bytes[OffsetOf(msr)..]));
            if (!result.IsSuccess) return result;
        }

        return LeafResult.Ok;
    }

    private static bool IsHashRegister(uint msr) => msr is >= Msr.IA32_SGXLEPUBKEYHASH0 and <= Msr.IA32_SGXLEPUBKEYHASH3;

    private static int OffsetOf(uint msr) => (int)(msr - Msr.IA32_SGXLEPUBKEYHASH0) * MsrSize;

    /// <summary>CPUID.7.0:ECX[30] and CPUID.12.0:EAX[0]; the latter is 0 until firmware has enabled SGX.</summary>
    private bool HasHashRegisters(ProcessorConfiguration configuration) =>
        configuration is { Sgx1: true, SgxLaunchControl: true }
        && (FeatureControl & ProcessorConfiguration.EnabledSgx) == ProcessorConfiguration.EnabledSgx;
}
