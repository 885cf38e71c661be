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

    /// <summary>Makes an EPC page a version array with empty slots.</summary>
    public LeafResult EPa(int epcPage);

    /// <summary>Blocks a page: no new translations of it.</summary>
    public LeafResult EBlock(int epcPage);

    /// <summary>Starts a new epoch of an enclave.</summary>
    public LeafResult ETrack(int secsPage);

    /// <summary>Takes a page out of the EPC, encrypted.</summary>
    public LeafResult EWb(
        Span<byte> destination, out Pcmd pcmd, out ulong linearAddress, int epcPage, int vaPage, int vaOffset);

    /// <summary>Loads an evicted page. For a SECS, <paramref name="secsPage"/> is not looked at.</summary>
    public LeafResult ELdu(
        ReadOnlySpan<byte> source, in Pcmd pcmd, ulong linearAddress, int secsPage, int epcPage, int vaPage, int vaOffset);

    /// <summary>Adds a page of zeros to an initialised enclave, to be accepted.</summary>
    public LeafResult EAug(ulong linearAddress, int secsPage, int epcPage);

    /// <summary>Takes permissions away from a page, to be accepted.</summary>
    public LeafResult EModPr(in SecInfo secInfo, int epcPage);

    /// <summary>Gives a page another type, to be accepted.</summary>
    public LeafResult EModT(in SecInfo secInfo, int epcPage);

    /// <summary>Reads eight bytes of a debug enclave.</summary>
    public LeafResult EDbgRd(int epcPage, int offsetInPage, out ulong data);

    /// <summary>Writes eight bytes of a debug enclave.</summary>
    public LeafResult EDbgWr(ulong data, int epcPage, int offsetInPage);
}
