namespace SoftSgx.Architecture;

/// <summary>
/// State components of XCR0, and so of ATTRIBUTES.XFRM and XSTATE_BV.
/// SDM vol. 1, "XSAVE-supported features and state-component bitmaps".
/// </summary>
[Flags]
public enum XFeatureMask : ulong
{
    /// <summary>No component.</summary>
    None = 0,

    /// <summary>x87 state.</summary>
    X87 = 1UL << 0,

    /// <summary>XMM registers and MXCSR.</summary>
    SSE = 1UL << 1,

    /// <summary>Upper halves of the YMM registers.</summary>
    AVX = 1UL << 2,

    /// <summary>MPX bound registers.</summary>
    BNDREGS = 1UL << 3,

    /// <summary>MPX configuration and status.</summary>
    BNDCSR = 1UL << 4,

    /// <summary>AVX-512 mask registers.</summary>
    OPMASK = 1UL << 5,

    /// <summary>Upper halves of ZMM0 to ZMM15.</summary>
    ZMM_HI256 = 1UL << 6,

    /// <summary>ZMM16 to ZMM31.</summary>
    HI16_ZMM = 1UL << 7,

    /// <summary>Protection-key rights of user pages.</summary>
    PKRU = 1UL << 9,

    /// <summary>AMX tile configuration.</summary>
    TILECFG = 1UL << 17,

    /// <summary>AMX tile data.</summary>
    TILEDATA = 1UL << 18,

    /// <summary>The two components that every enclave must have: x87 and SSE.</summary>
    Legacy = X87 | SSE,
}
