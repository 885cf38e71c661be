namespace SoftSgx.Kernel;

/// <summary>Something wrong in a policy file.</summary>
/// <param name="Line">Line, from 1.</param>
/// <param name="Column">Character in the line, from 1.</param>
/// <param name="Path">Where in the document, as in <c>rules[3].mrsigner[0]</c>; empty for the whole.</param>
/// <param name="Reason">What is wrong and what to write instead.</param>
public sealed record PolicyError(int Line, int Column, string Path, string Reason);
