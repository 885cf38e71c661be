using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace SoftSgx.Kernel;

/// <summary>
/// The argument of SGX_IOC_ENCLAVE_ADD_PAGE of <see cref="DeviceAbi.V22"/>.
/// Defined as struct sgx_enclave_add_page in the patch series v22.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct SgxEnclaveAddPage
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 32;

    /// <summary>Address of the page in the enclave, a multiple of 4096.</summary>
    public ulong Addr;

    /// <summary>Address of the page's contents.</summary>
    public ulong Src;

    /// <summary>Address of the SECINFO.</summary>
    public ulong SecInfo;

    /// <summary>Bit i: measure the 256 bytes at 256 · i.</summary>
    public ushort MrMask;

    /// <summary>Ignored.</summary>
    public Padding Reserved;

    /// <summary>Six bytes of padding.</summary>
    [InlineArray(6)]
    public struct Padding
    {
        private byte _first;
    }
}
