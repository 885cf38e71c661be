namespace SoftSgx.Architecture;

/// <summary>
/// Vectors of the processor's exceptions, by their mnemonics.
/// SDM vol. 3A, "Protected-mode exceptions and interrupts".
/// </summary>
public enum ExceptionVector : byte
{
    /// <summary>Divide error.</summary>
    DE = 0,

    /// <summary>Debug exception.</summary>
    DB = 1,

    /// <summary>Breakpoint.</summary>
    BP = 3,

    /// <summary>Overflow.</summary>
    OF = 4,

    /// <summary>Bound range exceeded.</summary>
    BR = 5,

    /// <summary>Invalid opcode.</summary>
    UD = 6,

    /// <summary>Device not available.</summary>
    NM = 7,

    /// <summary>Double fault.</summary>
    DF = 8,

    /// <summary>Segment not present.</summary>
    NP = 11,

    /// <summary>Stack-segment fault.</summary>
    SS = 12,

    /// <summary>General protection.</summary>
    GP = 13,

    /// <summary>Page fault.</summary>
    PF = 14,

    /// <summary>x87 floating-point error.</summary>
    MF = 16,

    /// <summary>Alignment check.</summary>
    AC = 17,

    /// <summary>SIMD floating-point exception.</summary>
    XM = 19,

    /// <summary>Control protection.</summary>
    CP = 21,
}
