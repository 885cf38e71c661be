using SoftSgx.Architecture;

namespace SoftSgx.Processor.Model;

/// <summary>ENCLU. SDM vol. 3D, "ENCLU".</summary>
public sealed partial class ModelProcessor
{
    /// <summary>Executes the leaf in EAX.</summary>
    public Outcome Enclu(ModelLogicalProcessor logical, ModelRegisters registers, PageTables tables, Span<byte> xsave)
    {
        EncluLeaf leaf = (EncluLeaf)(uint)registers[Register.Rax];
        bool enters = leaf is EncluLeaf.EENTER or EncluLeaf.ERESUME;
        if (enters == logical.Enclave is not null) return Outcome.GP;

        return leaf switch
        {
            EncluLeaf.EREPORT => EReport(logical, registers, tables),
            EncluLeaf.EGETKEY => EGetKey(logical, registers, tables),
            EncluLeaf.EENTER => EEnter(logical, registers, tables),
            EncluLeaf.ERESUME => EResume(logical, registers, tables, xsave),
            EncluLeaf.EEXIT => EExit(logical, registers),
            EncluLeaf.EACCEPT when configuration.Sgx2 => EAccept(logical, registers, tables),
            EncluLeaf.EMODPE when configuration.Sgx2 => EModPe(logical, registers, tables),
            EncluLeaf.EACCEPTCOPY when configuration.Sgx2 => EAcceptCopy(logical, registers, tables),
            EncluLeaf.EDECCSSA when configuration.EDecCssa => EDecCssa(logical, tables),
            _ => Outcome.GP,
        };
    }
}
