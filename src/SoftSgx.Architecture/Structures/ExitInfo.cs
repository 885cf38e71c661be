using System.Runtime.InteropServices;

namespace SoftSgx.Architecture;

/// <summary>
/// EXITINFO: why the enclave was left asynchronously, 4 bytes.
/// SDM vol. 3D, "EXITINFO fields".
/// </summary>
/// <remarks>
/// <code>
/// 7:0 VECTOR | 10:8 EXIT_TYPE (3 hardware exception, 6 software exception) | 30:11 reserved | 31 VALID
/// </code>
/// </remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct ExitInfo
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 4;

    /// <summary>EXIT_TYPE of an exception that the processor found.</summary>
    public const byte HardwareException = 3;

    /// <summary>EXIT_TYPE of an exception that an instruction asked for: #BP by INT3.</summary>
    public const byte SoftwareException = 6;

    /// <summary>Offset 0: all bits.</summary>
    public uint Value;

    /// <summary>An EXITINFO with those bits.</summary>
    public ExitInfo(uint value) => Value = value;

    /// <summary>A valid EXITINFO for <paramref name="vector"/>.</summary>
    public static ExitInfo For(byte vector, byte exitType) => new(vector | ((uint)exitType << 8) | (1u << 31));

    /// <summary>Vector of the exception.</summary>
    public readonly byte Vector => (byte)Value;

    /// <summary>Type of the exit.</summary>
    public readonly byte ExitType => (byte)((Value >> 8) & 7);

    /// <summary>False if the exit was not caused by an exception that is reported to the enclave.</summary>
    public readonly bool IsValid => (Value & (1u << 31)) != 0;
}
