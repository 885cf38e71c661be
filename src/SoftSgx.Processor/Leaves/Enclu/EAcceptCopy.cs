using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLU[EACCEPTCOPY]: the enclave accepts a page that EAUG added, fills it from another one and chooses its permissions.
/// SDM vol. 3D, EACCEPTCOPY.
/// </summary>
public static class EAcceptCopy
{
    private const uint SecInfoAlignment = 64;
    private const ulong PageMask = 4095;

    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="logical">The logical processor, inside an enclave.</param>
    /// <param name="registers">
    /// In: RBX SECINFO, RCX the page that is pending, RDX the page to copy. Out: RAX the error code, ZF whether there is one.
    /// </param>
    /// <param name="space">The page tables.</param>
    /// <returns>
    /// Success, #GP(0) or #PF, or
    /// <see cref="SgxError.SGX_PAGE_ATTRIBUTES_MISMATCH"/>: the page is not as EAUG leaves it.
    /// </returns>
    public static LeafResult Execute(
        SgxProcessor processor, LogicalProcessor logical, ref RegisterFile registers, ILinearAddressSpace space)
    {
        ArgumentNullException.ThrowIfNull(processor);
        ArgumentNullException.ThrowIfNull(logical);
        ArgumentNullException.ThrowIfNull(space);
        Epcm epcm = processor.Epcm;
        ulong description = registers.Rbx;
        ulong address = registers.Rcx;
        ulong source = registers.Rdx;

        if (!logical.InEnclave) return LeafResult.GeneralProtection;
        if ((description & (SecInfoAlignment - 1)) != 0) return LeafResult.GeneralProtection;
        if ((address & PageMask) != 0) return LeafResult.GeneralProtection;
        if ((source & PageMask) != 0) return LeafResult.GeneralProtection;
        if (!logical.IsInElrange(description)) return LeafResult.GeneralProtection;
        if (!logical.IsInElrange(address)) return LeafResult.GeneralProtection;
        if (!logical.IsInElrange(source)) return LeafResult.GeneralProtection;
        LeafResult result = EnclaveOperand.Resolve(processor, space, description, AccessKind.Read, out int descriptionPage);
        if (!result.IsSuccess) return result;
        result = EnclaveOperand.Resolve(processor, space, address, AccessKind.Write, out int page);
        if (!result.IsSuccess) return result;
        result = EnclaveOperand.Resolve(processor, space, source, AccessKind.Read, out int sourcePage);
        if (!result.IsSuccess) return result;
        if (!EnclaveOperand.IsUsable(epcm, logical, descriptionPage, description, AccessKind.Read))
        {
            return EnclaveOperand.Refuse(description, AccessKind.Read);
        }

        SecInfo secInfo = MemoryMarshal.Read<SecInfo>(processor.Frames.Frame(descriptionPage)[(int)(description & PageMask)..]);
        if (!secInfo.IsReservedZero) return LeafResult.GeneralProtection;
        if (secInfo.IsWriteOnly) return LeafResult.GeneralProtection;
        if (secInfo.PageType != PageType.PT_REG) return LeafResult.GeneralProtection;
        if (!EnclaveOperand.IsUsable(epcm, logical, sourcePage, source, AccessKind.Read))
        {
            return EnclaveOperand.Refuse(source, AccessKind.Read);
        }

        if (!IsPending(epcm, logical, page)) return Enclu.Return(ref registers, SgxError.SGX_PAGE_ATTRIBUTES_MISMATCH);
        if (epcm.IsBlocked(page)) return Enclu.Return(ref registers, SgxError.SGX_PAGE_ATTRIBUTES_MISMATCH);
        if (!epcm.TryLockShared(page)) return LeafResult.GeneralProtection;
        try
        {
            if (!epcm.TryBeginModifying(page)) return LeafResult.GeneralProtection;
            try
            {
                bool isNew = IsPending(epcm, logical, page)
                    && epcm.Permissions(page) == (SecInfoFlags.R | SecInfoFlags.W)
                    && epcm.EnclaveAddress(page) == address;
                if (!isNew) return Enclu.Return(ref registers, SgxError.SGX_PAGE_ATTRIBUTES_MISMATCH);

                processor.Frames.Frame(sourcePage).CopyTo(processor.Frames.Frame(page));
                epcm.Accept(page, secInfo.Permissions);
                return Enclu.Return(ref registers, SgxError.SGX_SUCCESS);
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

    private static bool IsPending(Epcm epcm, LogicalProcessor logical, int page)
    {
        if (!epcm.IsValid(page)) return false;
        if (!epcm.IsPending(page)) return false;
        if (epcm.IsModified(page)) return false;
        if (epcm.TypeOf(page) != PageType.PT_REG) return false;
        return epcm.EnclaveSecs(page) == logical.ActiveSecs;
    }
}
