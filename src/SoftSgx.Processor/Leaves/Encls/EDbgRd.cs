using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EDBGRD]: reads eight bytes of a debug enclave, whatever its permissions are; of a version array, which slots are in use.
/// SDM vol. 3D, EDBGRD.
/// </summary>
public static class EDbgRd
{
    private const int PageSize = 4096;
    private const ulong Occupied = ulong.MaxValue;
    private const ulong VersionMask = ~7UL;

    /// <summary>SGX_TCS_LIMIT: bytes of a TCS that have a meaning without CET.</summary>
    private const int TcsLimit = 72;

    /// <summary>Executes the leaf, in 64-bit mode.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="epcPage">RCX, upper part: the EPC page.</param>
    /// <param name="offsetInPage">RCX, lower part: offset in the page, a multiple of 8.</param>
    /// <param name="data">RBX: the eight bytes; 0 unless the leaf succeeds.</param>
    /// <returns>
    /// Success, #GP(0) or #PF, or
    /// <see cref="SgxError.SGX_PAGE_NOT_DEBUGGABLE"/>: the page is pending or modified.
    /// </returns>
    public static LeafResult Execute(SgxProcessor processor, int epcPage, int offsetInPage, out ulong data)
    {
        ArgumentNullException.ThrowIfNull(processor);
        Epcm epcm = processor.Epcm;
        data = 0;

        if (EnclsChecks.IsMissing(processor.Configuration, LeafFeature.SGX1, out LeafResult missing)) return missing;
        if ((uint)offsetInPage >= PageSize) return LeafResult.GeneralProtection;
        if (offsetInPage % sizeof(ulong) != 0) return LeafResult.GeneralProtection;
        if (!epcm.Contains(epcPage)) return EnclsChecks.PageFault(epcPage);
        if (!epcm.TryLockShared(epcPage)) return LeafResult.GeneralProtection;
        try
        {
            PageType type = epcm.TypeOf(epcPage);

            if (!epcm.IsValid(epcPage)) return EnclsChecks.PageFault(epcPage);
            if (type is not (PageType.PT_REG or PageType.PT_TCS or PageType.PT_VA)) return EnclsChecks.PageFault(epcPage);
            if (epcm.IsPending(epcPage)) return LeafResult.FromError(SgxError.SGX_PAGE_NOT_DEBUGGABLE);
            if (epcm.IsModified(epcPage)) return LeafResult.FromError(SgxError.SGX_PAGE_NOT_DEBUGGABLE);
            if (type == PageType.PT_TCS && offsetInPage >= TcsLimit) return LeafResult.GeneralProtection;
            if (type == PageType.PT_VA)
            {
                ulong version = Volatile.Read(ref processor.VersionSlot(epcPage, offsetInPage));
                data = (version & VersionMask) != 0 ? Occupied : 0;
                return LeafResult.Ok;
            }

            if (!IsDebug(processor, epcPage)) return LeafResult.GeneralProtection;
            data = Volatile.Read(ref WordOf(processor, epcPage, offsetInPage));
            return LeafResult.Ok;
        }
        finally
        {
            epcm.UnlockShared(epcPage);
        }
    }

    /// <summary>True if the enclave that the page belongs to may be debugged.</summary>
    internal static bool IsDebug(SgxProcessor processor, int epcPage) =>
        (processor.SecsOf(processor.Epcm.EnclaveSecs(epcPage)).Attributes.Flags & AttributeFlags.DEBUG) != 0;

    /// <summary>Eight bytes of a page in place, read and written at once.</summary>
    internal static ref ulong WordOf(SgxProcessor processor, int epcPage, int offsetInPage) =>
        ref MemoryMarshal.AsRef<ulong>(processor.Frames.Frame(epcPage)[offsetInPage..]);
}
