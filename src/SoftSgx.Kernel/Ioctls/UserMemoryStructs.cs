using System.Runtime.InteropServices;

namespace SoftSgx.Kernel;

/// <summary>Copies whole structs between the program and the kernel.</summary>
internal static class UserMemoryStructs
{
    /// <summary>Copies a struct in.</summary>
    public static bool TryReadStruct<T>(this IUserMemory memory, ulong address, out T value)
        where T : unmanaged
    {
        value = default;
        return memory.TryRead(address, MemoryMarshal.AsBytes(new Span<T>(ref value)));
    }

    /// <summary>Copies a struct out.</summary>
    public static bool TryWriteStruct<T>(this IUserMemory memory, ulong address, in T value)
        where T : unmanaged
        => memory.TryWrite(address, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));
}
