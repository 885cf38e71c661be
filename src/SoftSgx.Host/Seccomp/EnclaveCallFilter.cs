using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Seccomp;

/// <summary>A filter that stops every system call made from an enclave, whatever it is: there it is #UD.</summary>
/// <remarks>Of any kind: SYSCALL, and INT 0x80 and SYSENTER, which are calls of another architecture.</remarks>
internal static class EnclaveCallFilter
{
    /// <summary>Makes it.</summary>
    /// <param name="start">First address of the enclave; a multiple of <paramref name="length"/>.</param>
    /// <param name="length">Its size in bytes, a power of two.</param>
    internal static byte[] Assemble(ulong start, ulong length)
    {
        BpfAssembler a = new();
        int allow = a.NewLabel();
        ulong mask = ~(length - 1);
        a.LoadInstructionPointerHigh();
        a.And((uint)(mask >> 32));
        a.IfNotEqual((uint)(start >> 32), allow);
        a.LoadInstructionPointerLow();
        a.And((uint)mask);
        a.IfNotEqual((uint)start, allow);
        a.Ret(SECCOMP_RET_TRACE);
        a.Place(allow);
        a.Ret(SECCOMP_RET_ALLOW);
        return a.Assemble();
    }
}
