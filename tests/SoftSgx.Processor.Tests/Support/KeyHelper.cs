using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>EGETKEY and EREPORT as enclave code would call them: operands in the enclave's data page.</summary>
internal static class KeyHelper
{
    private const int RequestOffset = 0;
    private const int KeyOffset = 512;
    private const int TargetOffset = 1024;
    private const int DataOffset = 1536;
    private const int ReportOffset = 2048;

    /// <summary>Enters, gets a key, which must succeed, and leaves.</summary>
    public static Key128 GetKeyOnce(TestEnclave enclave, in KeyRequest request)
    {
        RegisterFile registers = enclave.EnterOk();
        Assert.Equal(LeafResult.Ok, GetKey(enclave, ref registers, in request, out Key128 key));
        Leave(enclave, ref registers);
        return key;
    }

    /// <summary>Calls EGETKEY; the enclave must have been entered.</summary>
    public static LeafResult GetKey(TestEnclave enclave, ref RegisterFile registers, in KeyRequest request, out Key128 key)
    {
        MemoryMarshal.Write(enclave.Data[RequestOffset..], in request);
        registers.Rax = (ulong)EncluLeaf.EGETKEY;
        registers.Rbx = TestEnclave.DataAddress + RequestOffset;
        registers.Rcx = TestEnclave.DataAddress + KeyOffset;
        LeafResult result = enclave.Enclu(ref registers);
        key = Key128.From(enclave.Data[KeyOffset..]);
        return result;
    }

    /// <summary>Enters, makes a report for <paramref name="target"/>, which must succeed, and leaves.</summary>
    public static Report ReportOnce(TestEnclave enclave, in TargetInfo target, byte dataFill = 0xDA)
    {
        RegisterFile registers = enclave.EnterOk();
        MemoryMarshal.Write(enclave.Data[TargetOffset..], in target);
        enclave.Data.Slice(DataOffset, 64).Fill(dataFill);
        registers.Rax = (ulong)EncluLeaf.EREPORT;
        registers.Rbx = TestEnclave.DataAddress + TargetOffset;
        registers.Rcx = TestEnclave.DataAddress + DataOffset;
        registers.Rdx = TestEnclave.DataAddress + ReportOffset;
        Assert.Equal(LeafResult.Ok, enclave.Enclu(ref registers));
        Leave(enclave, ref registers);
        return MemoryMarshal.Read<Report>(enclave.Data[ReportOffset..]);
    }

    public static void Leave(TestEnclave enclave, ref RegisterFile registers)
    {
        registers.Rax = (ulong)EncluLeaf.EEXIT;
        registers.Rbx = 0x40_2003;
        Assert.Equal(LeafResult.Ok, enclave.Enclu(ref registers));
    }

    /// <summary>The target that this enclave is for others.</summary>
    public static TargetInfo TargetOf(TestEnclave enclave)
    {
        ref readonly Secs secs = ref enclave.Platform.Processor.SecsOf(enclave.SecsPage);
        TargetInfo target = default;
        target.Measurement = secs.MrEnclave;
        target.Attributes = secs.Attributes;
        target.MiscSelect = secs.MiscSelect;
        target.ConfigId = secs.ConfigId;
        target.ConfigSvn = secs.ConfigSvn;
        return target;
    }
}
