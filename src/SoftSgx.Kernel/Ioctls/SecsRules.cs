using System.Numerics;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel;

/// <summary>
/// The rules for a SECS that the kernel checks by itself with <see cref="DeviceAbi.V22"/>; mainline leaves them to ECREATE.
/// The rules are those of SDM vol. 3D, ECREATE.
/// </summary>
internal static class SecsRules
{
    private const int MiscExInfoSize = 16;

    /// <summary>The SECS keeps all rules.</summary>
    public static bool AreKept(in Secs secs, ProcessorConfiguration processor)
    {
        AttributeFlags attributes = secs.Attributes.Flags;
        ulong xfrm = secs.Attributes.Xfrm;
        bool is64Bit = (attributes & AttributeFlags.MODE64BIT) != 0;
        byte sizeLimit = is64Bit ? processor.MaxEnclaveSizeLog2_64 : processor.MaxEnclaveSizeLog2Not64;
        return secs.EnclaveSize >= 2 * EpcPool.PageSize
            && BitOperations.IsPow2(secs.EnclaveSize)
            && (secs.BaseAddress & (secs.EnclaveSize - 1)) == 0
            && (secs.MiscSelect & ~processor.MiscSelect) == 0
            && (attributes & ~processor.SettableAttributes) == 0
            && (xfrm & ~processor.SettableXfrm) == 0
            && BitOperations.Log2(secs.EnclaveSize) <= sizeLimit
            && (xfrm & (ulong)XFeatureMask.Legacy) == (ulong)XFeatureMask.Legacy
            && Has(xfrm, XFeatureMask.BNDREGS) == Has(xfrm, XFeatureMask.BNDCSR)
            && secs.SsaFrameSize >= SsaFramePages(in secs, processor)
            && IsReservedZero(in secs);
    }

    private static bool Has(ulong xfrm, XFeatureMask component) => (xfrm & (ulong)component) != 0;

    private static uint SsaFramePages(in Secs secs, ProcessorConfiguration processor)
    {
        int misc = (secs.MiscSelect & MiscSelect.EXINFO) != 0 ? MiscExInfoSize : 0;
        int bytes = processor.XsaveLayout.SizeFor(secs.Attributes.Xfrm) + misc + GprSgx.Size;
        return (uint)((bytes + EpcPool.PageSize - 1) / EpcPool.PageSize);
    }

    private static bool IsReservedZero(in Secs secs)
        // In 2019 the CET fields were reserved. CONFIGID was too, but programs of today may use it by the old path.
        => secs.CetLegacyBitmapOffset == 0
        && secs.CetAttributes == 0
        && Bytes.IsZero(in secs.Reserved1)
        && Bytes.IsZero(in secs.Reserved2)
        && Bytes.IsZero(in secs.Reserved3)
        && Bytes.IsZero(in secs.Reserved4);
}
