using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLU[EACCEPT]: the enclave agrees to what a kernel has done to one of its pages, if it is what it says.
/// SDM vol. 3D, EACCEPT.
/// </summary>
public static class EAccept
{
    private const uint SecInfoAlignment = 64;
    private const ulong PageMask = 4095;

    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="logical">The logical processor, inside an enclave.</param>
    /// <param name="registers">In: RBX SECINFO, RCX the page. Out: RAX the error code, ZF whether there is one.</param>
    /// <param name="space">The page tables.</param>
    /// <returns>
    /// Success, #GP(0) or #PF, or
    /// <see cref="SgxError.SGX_PAGE_ATTRIBUTES_MISMATCH"/>: the page is not as the SECINFO says;
    /// <see cref="SgxError.SGX_NOT_TRACKED"/>: somebody may still use the page the old way.
    /// </returns>
    public static LeafResult Execute(
        SgxProcessor processor, LogicalProcessor logical, ref RegisterFile registers, ILinearAddressSpace space)
    {
        ArgumentNullException.ThrowIfNull(processor);
        ArgumentNullException.ThrowIfNull(logical);
        ArgumentNullException.ThrowIfNull(space);
        Epcm epcm = processor.Epcm;
        ulong address = registers.Rcx;

        if (!logical.InEnclave) return LeafResult.GeneralProtection;

        LeafResult result = EnclaveOperand.Find(
            processor, logical, space,
            registers.Rbx, SecInfoAlignment, SecInfo.Size, AccessKind.Read, out Span<byte> secInfoBytes);
        if (!result.IsSuccess) return result;

        SecInfo secInfo = MemoryMarshal.Read<SecInfo>(secInfoBytes);
        if (!secInfo.IsReservedZero) return LeafResult.GeneralProtection;
        if ((address & PageMask) != 0) return LeafResult.GeneralProtection;
        if (!logical.IsInElrange(address)) return LeafResult.GeneralProtection;
        result = EnclaveOperand.Resolve(processor, space, address, AccessKind.Read, out int page);
        if (!result.IsSuccess) return result;
        if (!IsLegal(in secInfo)) return LeafResult.GeneralProtection;
        if (!IsOfEnclave(epcm, logical, page)) return EnclaveOperand.Refuse(address, AccessKind.Read);
        if (epcm.IsBlocked(page)) return EnclaveOperand.Refuse(address, AccessKind.Read);
        if (!EnclsChecks.IsChild(epcm.TypeOf(page))) return EnclaveOperand.Refuse(address, AccessKind.Read);
        if (!epcm.TryLockShared(page)) return LeafResult.GeneralProtection;
        try
        {
            if (!epcm.TryBeginModifying(page)) return LeafResult.GeneralProtection;
            try
            {
                if (!IsOfEnclave(epcm, logical, page)) return EnclaveOperand.Refuse(address, AccessKind.Read);
                return Accept(processor, ref registers, page, in secInfo);
            }
            finally
            {
                epcm.EndModifying(page);
            }
        }
        finally
        {
            epcm.UnlockShared(page);
        }
    }

    private static LeafResult Accept(SgxProcessor processor, ref RegisterFile registers, int page, in SecInfo secInfo)
    {
        Epcm epcm = processor.Epcm;
        int secsPage = epcm.EnclaveSecs(page);
        EnclaveState enclave = processor.StateOf(secsPage);

        // Nobody can have used a page that is pending.
        bool needsTracking = epcm.IsModified(page) || epcm.IsPermissionRestricted(page);

        if (!Matches(epcm, page, registers.Rcx, in secInfo))
        {
            return Enclu.Return(ref registers, SgxError.SGX_PAGE_ATTRIBUTES_MISMATCH);
        }

        if (needsTracking && !enclave.IsTracked(epcm.Epoch(page))) return Enclu.Return(ref registers, SgxError.SGX_NOT_TRACKED);

        bool isTcs = secInfo.PageType == PageType.PT_TCS;
        if (isTcs && !IsFreshTcs(in processor.SecsOf(secsPage), in processor.TcsOf(page))) return LeafResult.GeneralProtection;

        epcm.Accept(page);
        return Enclu.Return(ref registers, SgxError.SGX_SUCCESS);
    }

    /// <summary>A regular page is pending or restricted; a TCS or a page to be trimmed is modified; nothing else is accepted.</summary>
    private static bool IsLegal(in SecInfo secInfo)
    {
        bool pending = (secInfo.Flags & SecInfoFlags.PENDING) != 0;
        bool modified = (secInfo.Flags & SecInfoFlags.MODIFIED) != 0;
        bool restricted = (secInfo.Flags & SecInfoFlags.PR) != 0;

        return secInfo.PageType switch
        {
            PageType.PT_REG => (restricted || pending) && !modified,
            PageType.PT_TCS or PageType.PT_TRIM => !restricted && !pending && modified,
            _ => false,
        };
    }

    private static bool IsOfEnclave(Epcm epcm, LogicalProcessor logical, int page) =>
        epcm.IsValid(page) && epcm.EnclaveSecs(page) == logical.ActiveSecs;

    /// <summary>True if address, type, permissions, PENDING and MODIFIED are those of the SECINFO. PR is not compared.</summary>
    private static bool Matches(Epcm epcm, int page, ulong address, in SecInfo secInfo)
    {
        const SecInfoFlags Compared = SecInfoFlags.RWX | SecInfoFlags.PENDING | SecInfoFlags.MODIFIED;

        if (epcm.EnclaveAddress(page) != address) return false;
        if (((epcm.State(page) ^ secInfo.Flags) & Compared) != 0) return false;
        return epcm.TypeOf(page) == secInfo.PageType;
    }

    /// <summary>
    /// True if the page's contents can be a TCS that nobody has entered by yet. A page of zeros cannot: its CSSA is not below its NSSA
    /// (SDM vol. 3D, EACCEPT: "For TCS pages, perform additional checks").
    /// </summary>
    private static bool IsFreshTcs(in Secs secs, in Tcs tcs)
    {
        if (!Bytes.IsZero(in tcs.Reserved)) return false;
        if ((tcs.Flags & TcsFlags.DBGOPTIN) != 0) return false;
        if (tcs.CSsa >= tcs.NSsa) return false;
        if (tcs.Aep != 0) return false;
        if (tcs.State != Tcs.Inactive) return false;
        return EAdd.IsTcsAcceptable(in secs, in tcs);
    }
}
