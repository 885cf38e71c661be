using System.Numerics;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[ECREATE]: makes an EPC page the SECS of a new enclave.
/// SDM vol. 3D, ECREATE.
/// </summary>
public static class ECreate
{
    private const ulong MinimumEnclaveSize = 8192;
    private const ulong PageSize = 4096;
    private const ulong Avx512 = (ulong)(XFeatureMask.OPMASK | XFeatureMask.ZMM_HI256 | XFeatureMask.HI16_ZMM);
    private const ulong Mpx = (ulong)(XFeatureMask.BNDREGS | XFeatureMask.BNDCSR);
    private const ulong Amx = (ulong)(XFeatureMask.TILECFG | XFeatureMask.TILEDATA);

    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="sourceSecs">PAGEINFO.SRCPGE: the SECS to start from, 4,096 bytes.</param>
    /// <param name="secInfo">PAGEINFO.SECINFO: a page of type PT_SECS.</param>
    /// <param name="linearAddress">PAGEINFO.LINADDR: zero.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    /// <returns>Success, #GP(0) or #PF.</returns>
    public static LeafResult Execute(
        SgxProcessor processor, ReadOnlySpan<byte> sourceSecs, in SecInfo secInfo, ulong linearAddress, int epcPage)
    {
        ArgumentNullException.ThrowIfNull(processor);
        ArgumentOutOfRangeException.ThrowIfNotEqual(sourceSecs.Length, Secs.Size);
        Epcm epcm = processor.Epcm;

        if (EnclsChecks.IsMissing(processor.Configuration, LeafFeature.SGX1, out LeafResult missing)) return missing;
        if (!epcm.Contains(epcPage)) return EnclsChecks.PageFault(epcPage);
        if (linearAddress != 0) return LeafResult.GeneralProtection;
        if (!EnclsChecks.IsReservedZero(processor.Configuration, in secInfo)) return LeafResult.GeneralProtection;
        if (secInfo.PageType != PageType.PT_SECS) return LeafResult.GeneralProtection;
        if (!epcm.TryLockExclusive(epcPage)) return LeafResult.GeneralProtection;
        try
        {
            if (epcm.IsValid(epcPage)) return EnclsChecks.PageFault(epcPage);

            sourceSecs.CopyTo(processor.Frames.Frame(epcPage));
            ref Secs secs = ref processor.WritableSecsOf(epcPage);
            if (!IsAcceptable(processor.Configuration, in secs)) return LeafResult.GeneralProtection;

            Commit(processor, ref secs, epcPage);
            return LeafResult.Ok;
        }
        finally
        {
            epcm.UnlockExclusive(epcPage);
        }
    }

    /// <summary>The manual's checks of the SECS, each of which ends in #GP(0).</summary>
    private static bool IsAcceptable(ProcessorConfiguration configuration, in Secs secs)
    {
        bool mode64 = (secs.Attributes.Flags & AttributeFlags.MODE64BIT) != 0;
        bool kss = (secs.Attributes.Flags & AttributeFlags.KSS) != 0;
        byte sizeLimit = mode64 ? configuration.MaxEnclaveSizeLog2_64 : configuration.MaxEnclaveSizeLog2Not64;

        if ((secs.Attributes.Xfrm & (ulong)XFeatureMask.Legacy) != (ulong)XFeatureMask.Legacy) return false;
        if (!IsXfrmLegal(configuration, secs.Attributes.Xfrm)) return false;
        if (secs.CetAttributes != 0) return false;
        if (secs.CetLegacyBitmapOffset != 0) return false;
        if ((secs.MiscSelect & ~configuration.MiscSelect) != 0) return false;
        if (secs.SsaFrameSize * PageSize < SsaFrameNeeded(configuration, in secs)) return false;
        if (mode64 && !Canonical.IsCanonical(secs.BaseAddress)) return false;
        if (!mode64 && secs.BaseAddress >> 32 != 0) return false;
        if (secs.EnclaveSize >= 1UL << sizeLimit) return false;
        if (secs.EnclaveSize < MinimumEnclaveSize) return false;
        if (!BitOperations.IsPow2(secs.EnclaveSize)) return false;
        if ((secs.BaseAddress & (secs.EnclaveSize - 1)) != 0) return false;
        if ((secs.Attributes.Flags & ~configuration.SettableAttributes) != 0) return false;
        if (!Bytes.IsZero(in secs.Reserved1)) return false;
        if (!Bytes.IsZero(in secs.Reserved2)) return false;
        if (!Bytes.IsZero(in secs.Reserved3)) return false;
        if (!Bytes.IsZero(in secs.Reserved4)) return false;
        if (!kss && !secs.ConfigId.IsZero) return false;
        if (!kss && secs.ConfigSvn != 0) return false;
        return true;
    }

    /// <summary>XFRM must be a value that XCR0 could have. SDM vol. 1, "Enabling the XSAVE feature set".</summary>
    private static bool IsXfrmLegal(ProcessorConfiguration configuration, ulong xfrm)
    {
        if ((xfrm & ~configuration.SettableXfrm) != 0) return false;
        if ((xfrm & Mpx) is not (0 or Mpx)) return false;
        if ((xfrm & Avx512) is not (0 or Avx512)) return false;
        if ((xfrm & Avx512) != 0 && (xfrm & (ulong)XFeatureMask.AVX) == 0) return false;
        if ((xfrm & Amx) is not (0 or Amx)) return false;
        return true;
    }

    private static ulong SsaFrameNeeded(ProcessorConfiguration configuration, in Secs secs)
    {
        int misc = (secs.MiscSelect & MiscSelect.EXINFO) != 0 ? ExInfo.Size : 0;
        return (ulong)(configuration.XsaveLayout.SizeFor(secs.Attributes.Xfrm) + misc + GprSgx.Size);
    }

    private static void Commit(SgxProcessor processor, ref Secs secs, int epcPage)
    {
        secs.MrEnclave = default;
        secs.MrSigner = default;
        secs.IsvProdId = 0;
        secs.IsvSvn = 0;

        EnclaveState state = processor.CreateState(epcPage, secs.BaseAddress);
        state.Measurement.Create(secs.SsaFrameSize, secs.EnclaveSize);
        ref SecsPrivate own = ref processor.PrivateSecsOf(epcPage);
        own.Eid = state.Id;
        own.EnclaveContext = processor.PhysicalAddress(epcPage);
        processor.Epcm.Set(epcPage, PageType.PT_SECS, SecInfoFlags.None, address: 0, secs: epcPage);
    }
}
