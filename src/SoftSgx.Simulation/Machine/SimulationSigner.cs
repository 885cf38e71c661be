using System.Collections.Concurrent;
using SoftSgx.Architecture;

namespace SoftSgx.Simulation;

/// <summary>SIGSTRUCTs for simulated enclaves.</summary>
internal static class SimulationSigner
{
    // Signing takes some milliseconds, and simulations build the same enclave over and over.
    private static readonly ConcurrentDictionary<(Hash256 Measurement, ulong XFrm), SigStruct> s_signed = new();

    /// <summary>A SIGSTRUCT for an enclave of that measurement.</summary>
    public static SigStruct Sign(in Hash256 measurement, ulong xFrm) =>
        s_signed.GetOrAdd((measurement, xFrm), static enclave =>
        {
            SigStruct sigStruct = new()
            {
                Date = 0x20190911,
                Attributes = new SgxAttributes(AttributeFlags.MODE64BIT, enclave.XFrm),
                AttributeMask = new SgxAttributes((AttributeFlags)~2UL, ~0UL),
                MiscMask = (MiscSelect)~0u,
                EnclaveHash = enclave.Measurement,
            };
            KnownSigner.Sign(ref sigStruct);
            return sigStruct;
        });
}
