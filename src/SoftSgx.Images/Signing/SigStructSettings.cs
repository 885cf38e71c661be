using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>What an enclave's author says in a signature structure; null leaves a field as it is.</summary>
public sealed record SigStructSettings
{
    /// <summary>ATTRIBUTES.FLAGS that the enclave must have, where the mask says so.</summary>
    public AttributeFlags? Flags { get; init; }

    /// <summary>ATTRIBUTEMASK.FLAGS: the attributes that must be as signed.</summary>
    public AttributeFlags? FlagsMask { get; init; }

    /// <summary>ATTRIBUTES.XFRM.</summary>
    public ulong? Xfrm { get; init; }

    /// <summary>ATTRIBUTEMASK.XFRM.</summary>
    public ulong? XfrmMask { get; init; }

    /// <summary>MISCSELECT.</summary>
    public MiscSelect? MiscSelect { get; init; }

    /// <summary>MISCMASK.</summary>
    public MiscSelect? MiscMask { get; init; }

    /// <summary>True: the enclave must be a debug enclave. False: it must not. After <see cref="Flags"/> and their mask.</summary>
    public bool? Debug { get; init; }

    /// <summary>ISVPRODID.</summary>
    public ushort? ProductId { get; init; }

    /// <summary>ISVSVN.</summary>
    public ushort? Svn { get; init; }

    /// <summary>ISVFAMILYID; needs KSS.</summary>
    public Bytes16? FamilyId { get; init; }

    /// <summary>ISVEXTPRODID; needs KSS.</summary>
    public Bytes16? ExtendedProductId { get; init; }

    /// <summary>DATE: yyyymmdd in hexadecimal digits.</summary>
    public DateOnly? Date { get; init; }

    /// <summary>Says it all in a structure.</summary>
    /// <exception cref="ImageException">No processor would take that.</exception>
    public void Apply(ref SigStruct sig)
    {
        sig.Attributes = new SgxAttributes(Flags ?? sig.Attributes.Flags, Xfrm ?? sig.Attributes.Xfrm);
        sig.AttributeMask = new SgxAttributes(FlagsMask ?? sig.AttributeMask.Flags, XfrmMask ?? sig.AttributeMask.Xfrm);
        if (Debug is { } debug)
        {
            sig.Attributes.Flags = debug ? sig.Attributes.Flags | AttributeFlags.DEBUG : sig.Attributes.Flags & ~AttributeFlags.DEBUG;
            sig.AttributeMask.Flags |= AttributeFlags.DEBUG;
        }

        sig.MiscSelect = MiscSelect ?? sig.MiscSelect;
        sig.MiscMask = MiscMask ?? sig.MiscMask;
        sig.IsvProdId = ProductId ?? sig.IsvProdId;
        sig.IsvSvn = Svn ?? sig.IsvSvn;
        sig.IsvFamilyId = FamilyId ?? sig.IsvFamilyId;
        sig.IsvExtProdId = ExtendedProductId ?? sig.IsvExtProdId;
        sig.Date = Date is { } date ? Digits(date) : sig.Date;
        Check(in sig);
    }

    /// <summary>The date as SIGSTRUCT has it: 2026-01-31 is 0x20260131.</summary>
    internal static uint Digits(DateOnly date)
    {
        uint digits = 0;
        int decimals = (date.Year * 10_000) + (date.Month * 100) + date.Day;
        for (int shift = 0; decimals > 0; shift += 4, decimals /= 10)
        {
            digits |= (uint)(decimals % 10) << shift;
        }

        return digits;
    }

    private static void Check(in SigStruct sig)
    {
        AttributeFlags flags = sig.Attributes.Flags;
        bool kss = (flags & AttributeFlags.KSS) != 0;
        if ((flags & sig.AttributeMask.Flags & AttributeFlags.INIT) != 0)
        {
            throw new ImageException("ATTRIBUTES say INIT, which no enclave has before it is initialised");
        }

        if (((ulong)(XFeatureMask.Legacy) & ~sig.Attributes.Xfrm & sig.AttributeMask.Xfrm) != 0)
        {
            throw new ImageException($"XFRM 0x{sig.Attributes.Xfrm:x} lacks x87 or SSE (bits 0 and 1), without which there is no enclave");
        }

        if (!kss && !(sig.IsvFamilyId.IsZero && sig.IsvExtProdId.IsZero))
        {
            throw new ImageException("a family id or extended product id needs the attribute KSS (bit 7): EINIT refuses it otherwise");
        }
    }
}
