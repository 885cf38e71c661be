using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EDBGWR]: writes eight bytes of a debug enclave, whatever its permissions are; of a TCS, only FLAGS.
/// SDM vol. 3D, EDBGWR.
/// </summary>
public static class EDbgWr
{
    private const int PageSize = 4096;
    private const int TcsFlagsOffset = 8;

    /// <summary>Executes the leaf, in 64-bit mode.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="data">RBX: the eight bytes.</param>
    /// <param name="epcPage">RCX, upper part: the EPC page.</param>
    /// <param name="offsetInPage">RCX, lower part: offset in the page, a multiple of 8.</param>
    /// <returns>
    /// Success, #GP(0) or #PF, or
    /// <see cref="SgxError.SGX_PAGE_NOT_DEBUGGABLE"/>: the page is pending or modified.
    /// </returns>
    public static LeafResult Execute(SgxProcessor processor, ulong data, int epcPage, int offsetInPage)
    {
        ArgumentNullException.ThrowIfNull(processor);
        Epcm epcm = processor.Epcm;

        if (EnclsChecks.IsMissing(processor.Configuration, LeafFeature.SGX1, out LeafResult missing)) return missing;
        if ((uint)offsetInPage >= PageSize) return LeafResult.GeneralProtection;
        if (offsetInPage % sizeof(ulong) != 0) return LeafResult.GeneralProtection;
        if (!epcm.Contains(epcPage)) return EnclsChecks.PageFault(epcPage);
        if (!epcm.TryLockShared(epcPage)) return LeafResult.GeneralProtection;
        try
        {
            PageType type = epcm.TypeOf(epcPage);

            if (!epcm.IsValid(epcPage)) return EnclsChecks.PageFault(epcPage);
            if (type is not (PageType.PT_REG or PageType.PT_TCS)) return EnclsChecks.PageFault(epcPage);
            if (epcm.IsPending(epcPage)) return LeafResult.FromError(SgxError.SGX_PAGE_NOT_DEBUGGABLE);
            if (epcm.IsModified(epcPage)) return LeafResult.FromError(SgxError.SGX_PAGE_NOT_DEBUGGABLE);
            if (type == PageType.PT_TCS && offsetInPage != TcsFlagsOffset) return LeafResult.GeneralProtection;
            if (!EDbgRd.IsDebug(processor, epcPage)) return LeafResult.GeneralProtection;

            Volatile.Write(ref EDbgRd.WordOf(processor, epcPage, offsetInPage), data);
            return LeafResult.Ok;
        }
        finally
        {
            epcm.UnlockShared(epcPage);
        }
    }
}
