namespace SoftSgx.Processor.Tests.Differential;

/// <summary>What one step of a program does: a leaf, a few leaves that belong together, or something the system does.</summary>
internal enum Op
{
    /// <summary>A whole enclave: ECREATE to EINIT.</summary>
    Build,
    Create,
    Add,
    Extend,
    Init,
    Remove,
    Pa,
    Block,
    Track,
    TrackC,
    Wb,
    /// <summary>EBLOCK, ETRACK, interrupts for whoever is inside, EWB.</summary>
    Swap,
    Ld,
    Aug,
    ModPr,
    ModT,
    DbgRd,
    DbgWr,
    RdInfo,
    Enter,
    Resume,
    Exit,
    Aex,
    Report,
    GetKey,
    Accept,
    ModPe,
    AcceptCopy,
    DecCssa,
    /// <summary>ENCLU with any EAX and any registers.</summary>
    AnyEnclu,
    /// <summary>The enclave writes into a page of its own, mostly where an SSA frame matters.</summary>
    Poke,
    /// <summary>The system changes a page-table entry.</summary>
    Map,
}

/// <summary>In what a step is out of the ordinary.</summary>
internal enum Off
{
    None,
    /// <summary>Any EPC page for the first page operand.</summary>
    Page,
    /// <summary>Any EPC page for the second page operand.</summary>
    SecondPage,
    /// <summary>A page outside of the EPC, or an address outside of the enclave.</summary>
    Outside,
    /// <summary>An operand that is not aligned.</summary>
    Alignment,
    /// <summary>A field of a structure.</summary>
    Field,
    /// <summary>A bit of a structure or of a sealed page.</summary>
    Bit,
}

/// <summary>
/// One step. The numbers choose among what there is when the step runs ("the A-th free page"), so that a step keeps its sense
/// when others are taken out of the program.
/// </summary>
internal sealed record Step(Op Op, int A, int B, int C, Off Off)
{
    /// <summary>A number that all of the step's own decide, for filling structures.</summary>
    public int Noise => (A * 31) + (B * 7) + C;
}

/// <summary>Steps, from an empty EPC on.</summary>
/// <param name="Steps">What runs.</param>
/// <param name="Everything">True for a processor with every feature, false for one with SGX1 alone.</param>
internal sealed record LeafProgram(Step[] Steps, bool Everything)
{
    /// <inheritdoc/>
    public override string ToString() => string.Join('\n', Steps.Select(step => step.ToString()));
}
