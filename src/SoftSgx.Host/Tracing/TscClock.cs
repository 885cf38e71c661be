using System.Runtime.Intrinsics.X86;
using SoftSgx.Host.Interop;

namespace SoftSgx.Host.Tracing;

/// <summary>Times by the processor's time stamp counter, and what they are by the system's clock.</summary>
/// <remarks>
/// The counter and the clock are read together now and then; what lies between two such moments is interpolated. So a step or a drift of
/// the clock needs no attention, and no time lies outside of the two between which it was.
/// </remarks>
internal sealed unsafe class TscClock
{
    private static readonly delegate* unmanaged[SuppressGCTransition]<ulong> s_read = (delegate* unmanaged[SuppressGCTransition]<ulong>)ExecutableMemory.Allocate(
    [
        0x0F, 0xAE, 0xE8, // lfence
        0x0F, 0x31, // rdtsc
        0x48, 0xC1, 0xE2, 0x20, // shl rdx, 32
        0x48, 0x09, 0xD0, // or rax, rdx
        0xC3, // ret
    ]);

    private ulong _tscBefore, _tsc;
    private DateTime _timeBefore, _time;

    internal TscClock()
    {
        _ = Look();
        _ = Look();
    }

    /// <summary>The counter runs at one rate whatever the processor does, and on all of them alike (CPUID leaf 8000_0007H, EDX bit 8).</summary>
    internal static bool IsUsable
    {
        get
        {
            const int PowerManagement = unchecked((int)0x8000_0007);
            return (uint)X86Base.CpuId(int.MinValue, 0).Eax >= unchecked((uint)PowerManagement) && ((X86Base.CpuId(PowerManagement, 0).Edx >> 8) & 1) != 0;
        }
    }

    /// <summary>The counter at the last look.</summary>
    internal ulong Tsc => _tsc;

    /// <summary>Reads both clocks; the time by the system's.</summary>
    internal DateTime Look()
    {
        (_tscBefore, _timeBefore) = (_tsc, _time);
        (_tsc, _time) = (s_read(), DateTime.UtcNow);
        return _time;
    }

    /// <summary>When the counter was that, at the earliest at the last look but one, at the latest at the last one.</summary>
    internal DateTime TimeOf(ulong tsc)
    {
        if (tsc >= _tsc || _time <= _timeBefore)
        {
            return _time; // or the clock was set back
        }
        if (tsc <= _tscBefore)
        {
            return _timeBefore;
        }
        double part = (double)(tsc - _tscBefore) / (_tsc - _tscBefore);
        return _timeBefore.AddTicks((long)(part * (_time - _timeBefore).Ticks));
    }
}
