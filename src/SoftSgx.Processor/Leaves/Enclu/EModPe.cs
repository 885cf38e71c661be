using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLU[EMODPE]: the enclave gives one of its pages more permissions.
/// SDM vol. 3D, EMODPE.
/// </summary>
public static class EModPe
{
    private const uint SecInfoAlignment = 64;
    private const ulong PageMask = 4095;

    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="logical">The logical processor, inside an enclave.</param>
    /// <param name="registers">RBX SECINFO with the permissions to add, RCX the page; none is changed.</param>
    /// <param name="space">The page tables.</param>
    /// <returns>Success, #GP(0) or #PF.</returns>
    public static LeafResult Execute(
        SgxProcessor processor, LogicalProcessor logical, ref RegisterFile registers, ILinearAddressSpace space)
    {
        ArgumentNullException.ThrowIfNull(processor);
        ArgumentNullException.ThrowIfNull(logical);
        ArgumentNullException.ThrowIfNull(space);
        Epcm epcm = processor.Epcm;
        ulong source = registers.Rbx;
        ulong address = registers.Rcx;

        if (!logical.InEnclave) return LeafResult.GeneralProtection;
        if ((source & (SecInfoAlignment - 1)) != 0) return LeafResult.GeneralProtection;
        if ((address & PageMask) != 0) return LeafResult.GeneralProtection;
        if (!logical.IsInElrange(source)) return LeafResult.GeneralProtection;
        if (!logical.IsInElrange(address)) return LeafResult.GeneralProtection;
        LeafResult result = EnclaveOperand.Resolve(processor, space, source, AccessKind.Read, out int sourcePage);
        if (!result.IsSuccess) return result;
        result = EnclaveOperand.Resolve(processor, space, address, AccessKind.Read, out int page);
        if (!result.IsSuccess) return result;
        if (!EnclaveOperand.IsUsable(epcm, logical, sourcePage, source, AccessKind.Read))
        {
            return EnclaveOperand.Refuse(source, AccessKind.Read);
        }

        SecInfo secInfo = MemoryMarshal.Read<SecInfo>(processor.Frames.Frame(sourcePage)[(int)(source & PageMask)..]);
        if (!secInfo.IsReservedZero) return LeafResult.GeneralProtection;
        if (!IsExtensible(epcm, logical, page)) return EnclaveOperand.Refuse(address, AccessKind.Read);
        if (!epcm.TryLockShared(page)) return LeafResult.GeneralProtection;
        try
        {
            if (!epcm.TryBeginModifying(page)) return LeafResult.GeneralProtection;
            try
            {
                bool isReadable = (epcm.Permissions(page) & SecInfoFlags.R) != 0;

                if (!IsExtensible(epcm, logical, page)) return EnclaveOperand.Refuse(address, AccessKind.Read);
                if (epcm.EnclaveAddress(page) != address) return EnclaveOperand.Refuse(address, AccessKind.Read);
                if (!isReadable && secInfo.IsWriteOnly) return LeafResult.GeneralProtection;

                epcm.Extend(page, secInfo.Permissions);
                return LeafResult.Ok;
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

    private static bool IsExtensible(Epcm epcm, LogicalProcessor logical, int page)
    {
        if (!epcm.IsAccessible(page)) return false;
        if (epcm.TypeOf(page) != PageType.PT_REG) return false;
        return epcm.EnclaveSecs(page) == logical.ActiveSecs;
    }
}
