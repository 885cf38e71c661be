namespace SoftSgx.Host.Monitor;

/// <summary>How a thread that stopped inside the monitor gets back to the ENCLU that it came from, or on from there.</summary>
internal enum Recovery : byte
{
    /// <summary>Nothing was changed. It stands at an instruction that was taken from the site; the operand is where, counted from the first.</summary>
    AtStolen,

    /// <summary>Nothing was changed. It stands at the ENCLU.</summary>
    AtEnclu,

    /// <summary>RAX and RCX have changed places, and RCX is less by the operand.</summary>
    Exchanged,

    /// <summary>RCX is in RAX, and RAX was the operand.</summary>
    Named,

    /// <summary>As <see cref="Named"/>, and the zero flag was clear.</summary>
    NamedZeroClear,

    /// <summary>As <see cref="Named"/>, and the zero flag was set.</summary>
    NamedZeroSet,

    /// <summary>As <see cref="Named"/>, and the zero flag is in the record.</summary>
    NamedZeroKept,

    /// <summary>RCX is in the record, as are the zero flag and the leaf.</summary>
    Saved,

    /// <summary>RCX and all flags are in the record.</summary>
    SavedFlags,

    /// <summary>RDX too.</summary>
    SavedRdx,

    /// <summary>RSI too.</summary>
    SavedRsi,

    /// <summary>As <see cref="SavedRdx"/>, and the TCS may have been taken, but FS and GS are the program's.</summary>
    Taken,

    /// <summary>As <see cref="Taken"/>, and the bases of FS and GS are in the record.</summary>
    Based,

    /// <summary>RDX and RSI are the program's, RAX is the leaf, RCX and flags are in the record.</summary>
    Asking,

    /// <summary>RDX and RSI are the program's, RCX, flags, leaf, R10 and R11 in the record.</summary>
    Calling,

    /// <summary>RCX, zero flag, leaf, R10 and R11 are in the record; all else is the program's.</summary>
    CallingAnother,

    /// <summary>With the zero flag set as <see cref="Left"/>, else as <see cref="SavedRsi"/>.</summary>
    LeftIfZero,

    /// <summary>
    /// EEXIT has given back the TCS: RDX, RSI, flags, AEP and the bases are in the record. In a traced run its event is written, and still to
    /// be published.
    /// </summary>
    Left,

    /// <summary>As <see cref="Left"/>, with the event published.</summary>
    LeftAndTold,

    /// <summary>The event of an entry is published, so the entry has happened. RDX, the site, the TCS and flags are in the record.</summary>
    Entered,
}

/// <summary>From an offset on, how to recover.</summary>
/// <param name="Offset">Offset of the first instruction that the rule is for, from the beginning of the code.</param>
/// <param name="Kind">The rule.</param>
/// <param name="Operand">The leaf, what to add to RCX, or where an instruction was.</param>
internal readonly record struct RecoveryPoint(int Offset, Recovery Kind, int Operand);
