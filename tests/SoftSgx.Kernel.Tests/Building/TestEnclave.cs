using SoftSgx.Architecture;

namespace SoftSgx.Kernel.Tests;

/// <summary>
/// A small complete enclave: code at 0, a TCS at 0x1000, two SSA frames at 0x2000, an unmeasured page at 0x8000.
/// </summary>
internal static class TestEnclave
{
    public const ulong CodeOffset = 0;
    public const ulong TcsOffset = 0x1000;
    public const ulong SsaOffset = 0x2000;
    public const ulong HeapOffset = 0x8000;
    public const int Pages = 5;

    /// <summary>Builds the enclave up to INIT.</summary>
    /// <returns>The enclave, and the SIGSTRUCT that INIT accepts.</returns>
    public static (Enclave Enclave, SigStruct SigStruct) Build(
        Machine machine, DeviceAbi abi = DeviceAbi.Mainline, AttributeFlags extra = 0)
    {
        Enclave enclave = machine.OpenCreated(abi, extra);
        var measurement = new Measurement(1, Machine.EnclaveSize);
        ReadOnlySpan<byte> source = machine.Source.Data;

        Assert.Equal(Errno.None, machine.AddPages(enclave, CodeOffset, 1, in Machine.RegRx));
        measurement.AddPage(CodeOffset, in Machine.RegRx, source[..4096], 0xFFFF);

        Assert.Equal(Errno.None, machine.AddTcs(enclave, TcsOffset));
        var tcs = new Tcs { OSsa = SsaOffset, NSsa = 2, OEntry = 0, FsLimit = 0xFFF, GsLimit = 0xFFF };
        measurement.AddPage(TcsOffset, in Machine.TcsPage, Bytes.Of(in tcs), 0xFFFF);

        Assert.Equal(Errno.None, machine.AddPages(enclave, SsaOffset, 2, in Machine.RegRw));
        measurement.AddPage(SsaOffset, in Machine.RegRw, source[..4096], 0xFFFF);
        measurement.AddPage(SsaOffset + 4096, in Machine.RegRw, source.Slice(4096, 4096), 0xFFFF);

        Assert.Equal(Errno.None, machine.AddPages(enclave, HeapOffset, 1, in Machine.RegRw, measure: false));
        measurement.AddPage(HeapOffset, in Machine.RegRw, source[..4096], 0);

        return (enclave, Signed(measurement.Value, extra));
    }

    /// <summary>Builds the enclave, INIT included.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="sourcePath">The file that its pages come from; anonymous memory if left out.</param>
    public static Enclave BuildInitialized(Machine machine, string? sourcePath = null)
    {
        machine.Source.Path = sourcePath;
        (Enclave enclave, SigStruct sigStruct) = Build(machine);
        Assert.Equal(Errno.None, machine.Init(enclave, in sigStruct));
        return enclave;
    }

    /// <summary>A SIGSTRUCT for an enclave of this measurement.</summary>
    public static SigStruct Signed(Hash256 measurement, AttributeFlags extra = 0)
    {
        var sigStruct = new SigStruct
        {
            Vendor = 0,
            Date = 0x20190911,
            Attributes = new SgxAttributes(AttributeFlags.MODE64BIT | extra, 3),
            AttributeMask = new SgxAttributes((AttributeFlags)~2UL, ~0UL),
            MiscMask = (MiscSelect)~0u,
            EnclaveHash = measurement,
            IsvProdId = 1,
            IsvSvn = 2,
        };
        TestSigner.Sign(ref sigStruct);
        return sigStruct;
    }
}
