namespace SoftSgx.Simulation;

/// <summary>Accesses to consecutive pages, one each: what a trace consists of.</summary>
/// <param name="Page">Page index of the first, in its enclave.</param>
/// <param name="Length">How many pages, at least 1.</param>
/// <param name="Enclave">Number of the enclave.</param>
/// <param name="Thread">Number of the thread, in its enclave.</param>
/// <param name="IsWrite">The accesses are writes.</param>
public readonly record struct TraceRun(ulong Page, uint Length, ushort Enclave, ushort Thread, bool IsWrite);
