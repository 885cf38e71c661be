using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[ERDINFO]: tells type and state of an EPC page.
/// SDM vol. 3D, ERDINFO.
/// </summary>
public static class ERdInfo
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="info">RBX: the RDINFO to fill; unchanged unless the leaf succeeds.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    /// <returns>
    /// Success, #GP(0) or #PF, or
    /// <see cref="SgxError.SGX_PG_NONEPC"/> (by CF): that is no EPC page;
    /// <see cref="SgxError.SGX_EPC_PAGE_CONFLICT"/>: another leaf writes the page;
    /// <see cref="SgxError.SGX_PG_INVLD"/> (by CF): the page is not in use.
    /// </returns>
    public static LeafResult Execute(SgxProcessor processor, ref RdInfo info, int epcPage)
    {
        ArgumentNullException.ThrowIfNull(processor);
        Epcm epcm = processor.Epcm;

        if (EnclsChecks.IsMissing(processor.Configuration, LeafFeature.OSS, out LeafResult missing)) return missing;
        if (!epcm.Contains(epcPage)) return LeafResult.FromInformation(SgxError.SGX_PG_NONEPC);
        if (!epcm.TryLockShared(epcPage)) return LeafResult.FromError(SgxError.SGX_EPC_PAGE_CONFLICT);
        try
        {
            if (!epcm.IsValid(epcPage)) return LeafResult.FromInformation(SgxError.SGX_PG_INVLD);

            PageType type = epcm.TypeOf(epcPage);
            info.Status = RdInfoStatus.None;
            info.Flags = SecInfo.For(type, epcm.State(epcPage)).Flags;
            info.EnclaveContext = 0;
            if (epcm.IsBlocked(epcPage)) info.Flags |= RdInfo.Blocked;
            if (type != PageType.PT_VA) info.EnclaveContext = processor.PrivateSecsOf(epcm.EnclaveSecs(epcPage)).EnclaveContext;
            if (type == PageType.PT_SECS && processor.StateOf(epcPage).Children != 0) info.Status = RdInfoStatus.CHLDPRESENT;
            return LeafResult.Ok;
        }
        finally
        {
            epcm.UnlockShared(epcPage);
        }
    }
}
