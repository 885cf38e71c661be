namespace SoftSgx.Processor;

/// <summary>
/// Bits of RFLAGS that SGX reads or writes.
/// SDM vol. 1, "EFLAGS register".
/// </summary>
public static class Rflags
{
    /// <summary>Bit 0: carry.</summary>
    public const ulong CF = 1UL << 0;

    /// <summary>Bit 1: always one.</summary>
    public const ulong Fixed = 1UL << 1;

    /// <summary>Bit 2: parity.</summary>
    public const ulong PF = 1UL << 2;

    /// <summary>Bit 4: auxiliary carry.</summary>
    public const ulong AF = 1UL << 4;

    /// <summary>Bit 6: zero; set when a leaf function returns an error code.</summary>
    public const ulong ZF = 1UL << 6;

    /// <summary>Bit 7: sign.</summary>
    public const ulong SF = 1UL << 7;

    /// <summary>Bit 8: trap after each instruction.</summary>
    public const ulong TF = 1UL << 8;

    /// <summary>Bit 10: direction.</summary>
    public const ulong DF = 1UL << 10;

    /// <summary>Bit 11: overflow.</summary>
    public const ulong OF = 1UL << 11;

    /// <summary>Bit 14: nested task.</summary>
    public const ulong NT = 1UL << 14;

    /// <summary>Bit 16: resume.</summary>
    public const ulong RF = 1UL << 16;

    /// <summary>Bit 18: alignment check.</summary>
    public const ulong AC = 1UL << 18;

    /// <summary>Bit 21: CPUID is there.</summary>
    public const ulong ID = 1UL << 21;

    /// <summary>The arithmetic flags.</summary>
    public const ulong Arithmetic = CF | PF | AF | ZF | SF | OF;
}
