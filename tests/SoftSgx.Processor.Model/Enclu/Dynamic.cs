using SoftSgx.Architecture;

namespace SoftSgx.Processor.Model;

/// <summary>EACCEPT, EMODPE and EACCEPTCOPY. SDM vol. 3D, the pages of those names.</summary>
public sealed partial class ModelProcessor
{
    /// <summary>ENCLU[EACCEPT].</summary>
    public Outcome EAccept(ModelLogicalProcessor logical, ModelRegisters registers, PageTables tables)
    {
        ulong target = registers[Register.Rcx];
        if (Operand(logical, tables, registers[Register.Rbx], 64, write: false, out Memory<byte> operand) is { } fault) return fault;
        SecInfo secInfo = Read<SecInfo>(operand);
        if (!IsReservedZero(in secInfo)) return Outcome.GP;
        if (target % PageSize != 0) return Outcome.GP;
        if (!InElrange(logical, target)) return Outcome.GP;
        if (Resolve(tables, target, write: false, out int page) is { } targetFault) return targetFault;

        bool pending = secInfo.Flags.HasFlag(SecInfoFlags.PENDING);
        bool modified = secInfo.Flags.HasFlag(SecInfoFlags.MODIFIED);
        bool restricted = secInfo.Flags.HasFlag(SecInfoFlags.PR);
        bool legal = secInfo.PageType switch
        {
            PageType.PT_REG => (restricted || pending) && !modified,
            PageType.PT_TCS or PageType.PT_TRIM => !restricted && !pending && modified,
            _ => false,
        };
        if (!legal) return Outcome.GP;
        if (EntryOf(page) is not { Blocked: false, IsChild: true } entry) return Outcome.EpcmPF(target, write: false);
        if (entry.Enclave != logical.Enclave) return Outcome.EpcmPF(target, write: false);

        const SecInfoFlags Compared = ~SecInfoFlags.PR;
        bool same = entry.Address == target && (entry.Flags & Compared) == (secInfo.Flags & Compared);
        if (!same) return Return(registers, SgxError.SGX_PAGE_ATTRIBUTES_MISMATCH);
        if (!IsTracked(entry)) return Return(registers, SgxError.SGX_NOT_TRACKED);
        if (secInfo.PageType == PageType.PT_TCS && !IsAcceptableTcs(logical.Enclave!, in TcsAt(page))) return Outcome.GP;

        Epcm[page] = entry with { Pending = false, Modified = false, PermissionRestricted = false };
        return Return(registers, SgxError.SGX_SUCCESS);
    }

    /// <summary>ENCLU[EMODPE].</summary>
    public Outcome EModPe(ModelLogicalProcessor logical, ModelRegisters registers, PageTables tables)
    {
        ulong source = registers[Register.Rbx];
        ulong target = registers[Register.Rcx];
        if (source % 64 != 0) return Outcome.GP;
        if (target % PageSize != 0) return Outcome.GP;
        if (!InElrange(logical, source) || !InElrange(logical, target)) return Outcome.GP;
        if (Resolve(tables, source, write: false, out int sourcePage) is { } sourceFault) return sourceFault;
        if (Resolve(tables, target, write: false, out int page) is { } targetFault) return targetFault;
        if (!IsUsable(logical.Enclave!, sourcePage, source, SecInfoFlags.R)) return Outcome.EpcmPF(source, write: false);

        SecInfo secInfo = Read<SecInfo>(Contents[sourcePage].AsMemory((int)(source % PageSize)));
        if (!IsReservedZero(in secInfo)) return Outcome.GP;
        if (!IsUsable(logical.Enclave!, page, target, 0)) return Outcome.EpcmPF(target, write: false);

        ModelEntry entry = Epcm[page];
        if (!entry.Permissions.HasFlag(SecInfoFlags.R) && IsWriteOnly(secInfo.Flags)) return Outcome.GP;
        Epcm[page] = entry with { Permissions = entry.Permissions | secInfo.Permissions };
        return Outcome.Ok;
    }

    /// <summary>ENCLU[EACCEPTCOPY].</summary>
    public Outcome EAcceptCopy(ModelLogicalProcessor logical, ModelRegisters registers, PageTables tables)
    {
        ulong info = registers[Register.Rbx];
        ulong target = registers[Register.Rcx];
        ulong source = registers[Register.Rdx];
        if (info % 64 != 0) return Outcome.GP;
        if (target % PageSize != 0 || source % PageSize != 0) return Outcome.GP;
        if (!InElrange(logical, info) || !InElrange(logical, target) || !InElrange(logical, source)) return Outcome.GP;
        if (Resolve(tables, info, write: false, out int infoPage) is { } infoFault) return infoFault;
        if (Resolve(tables, target, write: true, out int page) is { } targetFault) return targetFault;
        if (Resolve(tables, source, write: false, out int sourcePage) is { } sourceFault) return sourceFault;
        if (!IsUsable(logical.Enclave!, infoPage, info, SecInfoFlags.R)) return Outcome.EpcmPF(info, write: false);

        SecInfo secInfo = Read<SecInfo>(Contents[infoPage].AsMemory((int)(info % PageSize)));
        if (!IsReservedZero(in secInfo)) return Outcome.GP;
        if (IsWriteOnly(secInfo.Flags)) return Outcome.GP;
        if (secInfo.PageType != PageType.PT_REG) return Outcome.GP;
        if (!IsUsable(logical.Enclave!, sourcePage, source, SecInfoFlags.R)) return Outcome.EpcmPF(source, write: false);

        bool pending = EntryOf(page) is { Type: PageType.PT_REG, Pending: true, Modified: false, Blocked: false, Permissions: RW } entry
            && entry.Enclave == logical.Enclave
            && entry.Address == target;
        if (!pending) return Return(registers, SgxError.SGX_PAGE_ATTRIBUTES_MISMATCH);

        Contents[sourcePage].CopyTo(Contents[page], 0);
        Epcm[page] = Epcm[page] with { Permissions = secInfo.Permissions, Pending = false };
        return Return(registers, SgxError.SGX_SUCCESS);
    }

    private static bool IsAcceptableTcs(ModelEnclave enclave, in Tcs tcs)
    {
        bool mode64 = enclave.Secs.Attributes.Flags.HasFlag(AttributeFlags.MODE64BIT);
        if (!Bytes.IsZero(in tcs.Reserved) || tcs.OCetSsa != 0 || tcs.PrevSsp != 0) return false;
        if (tcs.Flags.HasFlag(TcsFlags.DBGOPTIN)) return false;
        if (tcs.CSsa >= tcs.NSsa) return false;
        if (tcs.Aep != 0 || tcs.State != 0) return false;
        return mode64 || ((tcs.FsLimit & 0xFFF) == 0xFFF && (tcs.GsLimit & 0xFFF) == 0xFFF);
    }

    /// <summary>RAX is the code, ZF says whether there is one, the other arithmetic flags are zero.</summary>
    private static Outcome Return(ModelRegisters registers, SgxError error)
    {
        registers[Register.Rax] = (ulong)error;
        registers[Register.Rflags] &= ~ArithmeticFlags;
        registers[Register.Rflags] |= error == 0 ? 0 : ZeroFlag;
        return Outcome.Of(error);
    }
}
