using SoftSgx.Architecture;

namespace SoftSgx.Processor.Model;

/// <summary>EAUG, EMODPR and EMODT. SDM vol. 3D, the pages of those names.</summary>
public sealed partial class ModelProcessor
{
    /// <summary>ENCLS[EAUG] with PAGEINFO.SRCPGE zero; a SECINFO asks for a shadow stack, which this processor has not.</summary>
    public Outcome EAug(SecInfo? secInfo, ulong linearAddress, int secsPage, int page)
    {
        if (!configuration.Sgx2) return Outcome.GP;
        if (!IsEpc(page)) return Outcome.PF(page);
        if (linearAddress % PageSize != 0) return Outcome.GP;
        if (!IsEpc(secsPage)) return Outcome.PF(secsPage);
        if (EntryOf(page) is not null) return Outcome.PF(page);
        if (secInfo is not null) return Outcome.GP;
        if (page == secsPage) return Outcome.GP;
        if (!IsSecs(secsPage)) return Outcome.PF(secsPage);

        ModelEnclave enclave = Epcm[secsPage].Enclave!;
        if (!enclave.IsInitialized) return Outcome.GP;
        if (!IsInRange(enclave, linearAddress)) return Outcome.GP;

        Epcm[page] = new ModelEntry(PageType.PT_REG, RW, linearAddress, enclave) { Pending = true };
        Contents[page] = new byte[4096];
        return Outcome.Ok;
    }

    /// <summary>ENCLS[EMODPR].</summary>
    public Outcome EModPr(in SecInfo secInfo, int page)
    {
        if (!configuration.Sgx2) return Outcome.GP;
        if (!IsEpc(page)) return Outcome.PF(page);
        if (!IsReservedZero(in secInfo)) return Outcome.GP;
        if (IsWriteOnly(secInfo.Flags)) return Outcome.GP;
        if (EntryOf(page) is not { } entry) return Outcome.PF(page);
        if (entry.Pending || entry.Modified) return Outcome.Of(SgxError.SGX_PAGE_NOT_MODIFIABLE);
        if (entry.Type != PageType.PT_REG) return Outcome.PF(page);
        if (!entry.Enclave!.IsInitialized) return Outcome.GP;

        Epcm[page] = entry with
        {
            PermissionRestricted = true,
            Permissions = entry.Permissions & secInfo.Permissions,
            ChangedInEpoch = entry.Enclave.Epoch,
        };
        return Outcome.Ok;
    }

    /// <summary>ENCLS[EMODT].</summary>
    public Outcome EModT(in SecInfo secInfo, int page)
    {
        if (!configuration.Sgx2) return Outcome.GP;
        if (!IsEpc(page)) return Outcome.PF(page);
        if (!IsReservedZero(in secInfo)) return Outcome.GP;
        if (secInfo.PageType is not (PageType.PT_TCS or PageType.PT_TRIM)) return Outcome.GP;
        if (EntryOf(page) is not { } entry) return Outcome.PF(page);
        bool allowed = entry.Type == PageType.PT_REG || (entry.Type == PageType.PT_TCS && secInfo.PageType == PageType.PT_TRIM);
        if (!allowed) return Outcome.PF(page);
        if (entry.Pending || entry.Modified) return Outcome.Of(SgxError.SGX_PAGE_NOT_MODIFIABLE);
        if (!entry.Enclave!.IsInitialized) return Outcome.GP;

        Epcm[page] = entry with
        {
            PermissionRestricted = false,
            Modified = true,
            Permissions = 0,
            Type = secInfo.PageType,
            ChangedInEpoch = entry.Enclave.Epoch,
        };
        return Outcome.Ok;
    }

    private static bool IsWriteOnly(SecInfoFlags flags) => (flags & RW) == SecInfoFlags.W;
}
