using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel;

/// <summary>
/// The ENCLS leaves that the kernel executes, one method a leaf. The counterpart of arch/x86/kernel/cpu/sgx/encls.h.
/// </summary>
/// <remarks>Everything in the kernel goes through here, so tests can make any leaf fail.</remarks>
internal interface IEncls
{
    /// <summary>Makes an EPC page the SECS of a new enclave.</summary>
    public LeafResult ECreate(ReadOnlySpan<byte> secs, int epcPage);

    /// <summary>Copies a page into an EPC page and adds it to an enclave.</summary>
    public LeafResult EAdd(ReadOnlySpan<byte> source, in SecInfo secInfo, ulong linearAddress, int secsPage, int epcPage);

    /// <summary>Measures 256 bytes of an enclave page.</summary>
    public LeafResult EExtend(int secsPage, int epcPage, int offsetInPage);

    /// <summary>Finishes the measurement, verifies the signature and makes an enclave ready to be entered.</summary>
    public LeafResult EInit(
        LogicalProcessor logicalProcessor, ReadOnlySpan<byte> sigStruct, int secsPage, ReadOnlySpan<byte> token);

    /// <summary>Makes an EPC page invalid.</summary>
    public LeafResult ERemove(int epcPage);
}
