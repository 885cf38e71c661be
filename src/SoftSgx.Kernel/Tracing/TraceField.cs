namespace SoftSgx.Kernel.Tracing;

/// <summary>What a field is part of.</summary>
public enum TracePart
{
    /// <summary>An argument of a system call, which is known by its position.</summary>
    Operand,

    /// <summary>A member of the struct that an argument points to, or a named operand.</summary>
    Member,

    /// <summary>A result.</summary>
    Result,
}

/// <summary>What a field's value is.</summary>
public enum TraceFormat
{
    /// <summary>A number that people read in hexadecimal: offsets, lengths of memory, flags.</summary>
    Hex,

    /// <summary>A number that people count with; signed.</summary>
    Decimal,

    /// <summary>A linear address; <see cref="TraceField.Offset"/> where it lies in an enclave.</summary>
    Address,

    /// <summary>Names.</summary>
    Name,

    /// <summary>A string of the program's.</summary>
    Quoted,
}

/// <summary>One value of an event.</summary>
/// <param name="Part">What it is part of.</param>
/// <param name="Name">Its name.</param>
/// <param name="Format">What it is.</param>
/// <param name="Value">The number, of a format that is one.</param>
/// <param name="Text">The text, of a format that is none.</param>
/// <param name="Offset">Of an address in an enclave: its distance from the enclave's base.</param>
public readonly record struct TraceField(TracePart Part, string Name, TraceFormat Format, ulong Value, string? Text, ulong? Offset);
