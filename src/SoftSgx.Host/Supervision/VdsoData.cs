using System.Buffers.Binary;
using System.Text;
using SoftSgx.Host.Seccomp;
using SoftSgx.Host.Vdso;

namespace SoftSgx.Host.Supervision;

/// <summary>What injected system calls need in the program's memory, laid out in the vDSO image's data area.</summary>
internal sealed class VdsoData
{
    /// <summary>Offsets of the scratch area, and of what comes next.</summary>
    internal const int Scratch = 192, FilterBody = 512;

    private const int EnclaveName = 0, ProvisionName = 64, FilterHeader = 128, AbortCode = 2048;

    private readonly byte[] _filter = SeccompFilters.EnclaveUser();

    /// <summary>Size of the area.</summary>
    internal static int Size => VdsoImage.DefaultDataSize;

    internal static ulong EnclaveNameAddress(ulong area) => area + EnclaveName;
    internal static ulong ProvisionNameAddress(ulong area) => area + ProvisionName;

    /// <summary>Address of the <c>struct sock_fprog</c> of the filter for users of the device.</summary>
    internal static ulong FilterAddress(ulong area) => area + FilterHeader;

    internal static ulong ScratchAddress(ulong area) => area + Scratch;

    /// <summary>Address of the code of a slot for redirected accesses.</summary>
    internal static ulong AbortCodeAddress(ulong area, int slot) => area + AbortCode + (ulong)(slot * Isolation.AbortSlots.CodeSize);

    /// <summary>Fills the area as it will stand at <paramref name="address"/>.</summary>
    internal void Fill(Span<byte> area, ulong address)
    {
        area.Clear();
        // memfd names: /proc/PID/maps then shows the device's path, which programs look for.
        Encoding.ASCII.GetBytes("/dev/sgx_enclave", area[EnclaveName..]);
        Encoding.ASCII.GetBytes("/dev/sgx_provision", area[ProvisionName..]);
        BinaryPrimitives.WriteUInt16LittleEndian(area[FilterHeader..], (ushort)(_filter.Length / BpfAssembler.InstructionSize));
        BinaryPrimitives.WriteUInt64LittleEndian(area[(FilterHeader + 8)..], address + FilterBody);
        _filter.CopyTo(area[FilterBody..]);
    }
}
