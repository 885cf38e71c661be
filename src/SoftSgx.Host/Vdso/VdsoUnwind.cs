using System.Buffers.Binary;

namespace SoftSgx.Host.Vdso;

/// <summary>The call frame information of the image, so exceptions, longjmp and debuggers pass through its functions.</summary>
/// <remarks>
/// System V ABI for x86-64, "Stack Unwind Algorithm"; DWARF 4, chapter 6.4; the LSB for .eh_frame and .eh_frame_hdr.
/// </remarks>
internal static class VdsoUnwind
{
    /// <summary>One function description: the code it covers and how its frame changes from instruction to instruction.</summary>
    internal readonly record struct Function(int Start, int Size, byte[] Instructions);

    private const byte DW_CFA_advance_loc = 0x40;
    private const byte DW_CFA_offset = 0x80;
    private const byte DW_CFA_restore = 0xc0;
    private const byte DW_CFA_advance_loc1 = 0x02;
    private const byte DW_CFA_def_cfa = 0x0c;
    private const byte DW_CFA_def_cfa_register = 0x0d;
    private const byte DW_CFA_def_cfa_offset = 0x0e;

    private const byte DW_EH_PE_udata4 = 0x03;
    private const byte DW_EH_PE_sdata4 = 0x0b;
    private const byte DW_EH_PE_pcrel = 0x10;
    private const byte DW_EH_PE_datarel = 0x30;

    // DWARF's register numbers are not the processor's.
    private const byte Rbx = 3;
    private const byte Rbp = 6;
    private const byte Rsp = 7;
    private const byte ReturnAddress = 16;

    private const byte DataAlignmentMinus8 = 0x78;
    private const int HdrFixedSize = 12;

    /// <summary>The rules of <c>__vdso_sgx_enter_enclave</c>, whose frame stands from its prologue to its epilogue.</summary>
    public static byte[] EnterEnclaveInstructions(in VdsoEnterEnclave.Offsets at)
    {
        List<byte> rules = [];
        int location = 0;
        void At(int offset, params ReadOnlySpan<byte> rule)
        {
            int delta = offset - location;
            location = offset;
            if (delta < 0x40)
            {
                rules.Add((byte)(DW_CFA_advance_loc | delta));
            }
            else
            {
                rules.Add(DW_CFA_advance_loc1);
                rules.Add(checked((byte)delta));
            }
            rules.AddRange(rule);
        }

        At(at.AfterPushRbp, DW_CFA_def_cfa_offset, 16, DW_CFA_offset | Rbp, 2);
        At(at.AfterMoveRbp, DW_CFA_def_cfa_register, Rbp);
        At(at.AfterPushRbx, DW_CFA_offset | Rbx, 3);
        At(at.AfterLoadRbx, DW_CFA_restore | Rbx);
        At(at.AfterLeave, DW_CFA_def_cfa, Rsp, 8, DW_CFA_restore | Rbp);
        return [.. rules];
    }

    /// <summary>The .eh_frame section for functions in ascending order, to lie at <paramref name="address"/>.</summary>
    public static byte[] EhFrame(ReadOnlySpan<Function> functions, int address)
    {
        Writer section = new();
        section.BeginRecord();
        section.UInt32(0); // a CIE
        section.Bytes(1, (byte)'z', (byte)'R', 0, 1, DataAlignmentMinus8, ReturnAddress, 1, DW_EH_PE_pcrel | DW_EH_PE_sdata4);
        section.Bytes(DW_CFA_def_cfa, Rsp, 8, DW_CFA_offset | ReturnAddress, 1);
        section.EndRecord();
        foreach (Function function in functions)
        {
            section.BeginRecord();
            section.UInt32((uint)section.Length); // the distance back to the CIE, which is the first record
            section.UInt32(unchecked((uint)(function.Start - (address + section.Length))));
            section.UInt32((uint)function.Size);
            section.Bytes(0); // no augmentation data
            section.Bytes(function.Instructions);
            section.EndRecord();
        }
        section.UInt32(0); // the end, for those who walk the section without knowing its size
        return section.ToArray();
    }

    /// <summary>The .eh_frame_hdr section, the table by which unwinders search, to lie at <paramref name="address"/>.</summary>
    public static byte[] EhFrameHdr(ReadOnlySpan<Function> functions, ReadOnlySpan<byte> ehFrame, int ehFrameAddress, int address)
    {
        Writer section = new();
        section.Bytes(1, DW_EH_PE_pcrel | DW_EH_PE_sdata4, DW_EH_PE_udata4, DW_EH_PE_datarel | DW_EH_PE_sdata4);
        section.UInt32(unchecked((uint)(ehFrameAddress - (address + 4))));
        section.UInt32((uint)functions.Length);
        int record = NextRecord(ehFrame, 0);
        foreach (Function function in functions)
        {
            section.UInt32(unchecked((uint)(function.Start - address)));
            section.UInt32(unchecked((uint)(ehFrameAddress + record - address)));
            record = NextRecord(ehFrame, record);
        }
        return section.ToArray();
    }

    private static int NextRecord(ReadOnlySpan<byte> ehFrame, int record) =>
        record + sizeof(uint) + BinaryPrimitives.ReadInt32LittleEndian(ehFrame[record..]);

    private sealed class Writer
    {
        private readonly List<byte> _bytes = [];
        private int _record;

        public int Length => _bytes.Count;

        public void Bytes(params ReadOnlySpan<byte> values) => _bytes.AddRange(values);

        public void UInt32(uint value)
        {
            Span<byte> bytes = stackalloc byte[sizeof(uint)];
            BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
            _bytes.AddRange(bytes);
        }

        public void BeginRecord()
        {
            _record = _bytes.Count;
            UInt32(0);
        }

        /// <summary>Pads the record with DW_CFA_nop (0) and writes its length, which does not count itself.</summary>
        public void EndRecord()
        {
            while ((_bytes.Count - _record) % 8 != 0)
            {
                _bytes.Add(0);
            }
            Span<byte> length = stackalloc byte[sizeof(uint)];
            BinaryPrimitives.WriteInt32LittleEndian(length, _bytes.Count - _record - sizeof(uint));
            for (int i = 0; i < length.Length; i++)
            {
                _bytes[_record + i] = length[i];
            }
        }

        public byte[] ToArray() => [.. _bytes];
    }
}
