using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// The ENCLU instruction: chooses the leaf function by EAX.
/// SDM vol. 3D, "ENCLU - execute an enclave user function of specified leaf number".
/// </summary>
public static class Enclu
{
    /// <summary>True if <paramref name="leaf"/> reads or writes the extended state of the thread.</summary>
    public static bool NeedsXsave(EncluLeaf leaf) => leaf == EncluLeaf.ERESUME;

    /// <summary>
    /// Executes ENCLU with the leaf in EAX. On success and on an error code the registers are what the leaf makes of them
    /// (RAX and ZF for leaves that return codes); on a fault they are unchanged. A leaf that the processor does not enumerate,
    /// or that <see cref="LeafTable"/> says is not supported, is #GP(0).
    /// </summary>
    /// <param name="processor">The package.</param>
    /// <param name="logical">The logical processor that executes.</param>
    /// <param name="registers">Its registers; RIP is the address after the ENCLU.</param>
    /// <param name="space">Its page tables.</param>
    /// <param name="xsave">Its standard-format XSAVE image; needed only where <see cref="NeedsXsave"/> says so.</param>
    public static LeafResult Execute(
        SgxProcessor processor, LogicalProcessor logical, ref RegisterFile registers, ILinearAddressSpace space, Span<byte> xsave)
    {
        ArgumentNullException.ThrowIfNull(processor);
        ArgumentNullException.ThrowIfNull(logical);

        if (!processor.Configuration.Sgx1) return LeafResult.InvalidOpcode;

        EncluLeaf leaf = (EncluLeaf)(uint)registers.Rax;
        bool entersEnclave = leaf is EncluLeaf.EENTER or EncluLeaf.ERESUME;
        if (!IsThere(processor.Configuration, leaf)) return LeafResult.GeneralProtection;
        if (entersEnclave == logical.InEnclave) return LeafResult.GeneralProtection;

        return leaf switch
        {
            EncluLeaf.EREPORT => EReport.Execute(processor, logical, ref registers, space),
            EncluLeaf.EGETKEY => EGetKey.Execute(processor, logical, ref registers, space),
            EncluLeaf.EENTER => EEnter.Execute(processor, logical, ref registers, space),
            EncluLeaf.ERESUME => EResume.Execute(processor, logical, ref registers, space, xsave),
            EncluLeaf.EEXIT => EExit.Execute(processor, logical, ref registers),
            EncluLeaf.EACCEPT => EAccept.Execute(processor, logical, ref registers, space),
            EncluLeaf.EMODPE => EModPe.Execute(processor, logical, ref registers, space),
            EncluLeaf.EACCEPTCOPY => EAcceptCopy.Execute(processor, logical, ref registers, space),
            EncluLeaf.EDECCSSA => EDecCssa.Execute(processor, logical, ref registers, space),
            _ => LeafResult.GeneralProtection,
        };
    }

    /// <summary>What a leaf that returns a code does to RAX and to the flags.</summary>
    internal static LeafResult Return(ref RegisterFile registers, SgxError error)
    {
        registers.Rflags &= ~Rflags.Arithmetic;
        registers.Rax = (ulong)error;
        if (error == SgxError.SGX_SUCCESS) return LeafResult.Ok;

        registers.Rflags |= Rflags.ZF;
        return LeafResult.FromError(error);
    }

    private static bool IsThere(ProcessorConfiguration configuration, EncluLeaf leaf) =>
        LeafTable.Find(LeafKind.ENCLU, (uint)leaf) is { Support: LeafSupport.Implemented } info
        && configuration.Enumerates(info.Feature);
}
