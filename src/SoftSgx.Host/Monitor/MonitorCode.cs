using Iced.Intel;
using SoftSgx.Host.Vdso;
using static Iced.Intel.AssemblerRegisters;

namespace SoftSgx.Host.Monitor;

/// <summary>The code that all sites of an address space share: EENTER and EEXIT without a trap, and the call to the supervisor.</summary>
/// <remarks>
/// <para>
/// A site's own code (<see cref="SiteCode"/>) comes here with RCX at the thread's record and what it changed saved there. Neither a stack nor
/// another free register is to be had: an enclave may use RSP as it likes, and all other registers are operands of the enclave. Flags
/// must come through as well, so they are kept by LAHF and SETO.
/// </para>
/// <code>
/// EENTER   no record of the TCS, not ready, or already inside? ──► the supervisor
///          take the TCS                    one compare-and-exchange of its state with the thread's record
///          AEP, FS, GS, RSP, RBP           into the thread's record and the SSA frame
///          FS, GS of the enclave           WRFSBASE, WRGSBASE
///          RAX = CSSA, RCX = behind ENCLU  jump to the entry point, by the landing that belongs to the TCS
///
/// EEXIT    not inside by this way, or RBX no address of a program? ──► the supervisor
///          give the TCS back
///          FS, GS of the host, RCX = AEP, RAX = 4, jump to RBX
/// </code>
/// <para>
/// In a traced run both also write an event (<see cref="EventCode"/>); a ring that is full is one more reason for the supervisor.
/// </para>
/// </remarks>
internal sealed class MonitorCode
{
    private const int EENTER = 2, EEXIT = 4, SYS_rt_sigreturn = 15;

    /// <summary>Offsets in GPRSGX.</summary>
    internal const int URsp = 144, URbp = 152;

    /// <summary>Multiplier of the hash of a TCS's page number: 2^32 divided by the golden ratio.</summary>
    private const int HashMultiplier = unchecked((int)0x9E37_79B1);

    private const int HashShift = 23; // leaves nine bits: RecordCount

    private MonitorCode(bool isTraced, byte[] bytes, RecoveryPoint[] rules, int enter, int exit, int another, int called, int calledAnother)
    {
        IsTraced = isTraced;
        Bytes = bytes;
        Rules = rules;
        Enter = enter;
        Exit = exit;
        Another = another;
        Called = called;
        CalledAnother = calledAnother;
    }

    /// <summary>As many neighbouring records are looked at for a TCS.</summary>
    internal const int Probes = 4;

    /// <summary>Transitions write events.</summary>
    internal bool IsTraced { get; }

    /// <summary>Bytes of the memory, and of the first view of it.</summary>
    internal int Size => IsTraced ? MonitorLayout.TracedSize : MonitorLayout.Size;

    internal byte[] Bytes { get; }

    internal RecoveryPoint[] Rules { get; }

    /// <summary>The rule of the landings.</summary>
    internal RecoveryPoint Landing => new(0, IsTraced ? Recovery.Entered : Recovery.Based, EENTER);

    /// <summary>Offsets in the monitor of the code of EENTER and EEXIT.</summary>
    internal int Enter { get; }

    internal int Exit { get; }

    /// <summary>Offset in the monitor of the code of all other leaves.</summary>
    internal int Another { get; }

    /// <summary>Offsets in the monitor behind the two system calls that are calls to the supervisor.</summary>
    internal int Called { get; }

    internal int CalledAnother { get; }

    /// <summary>Offset of the first of the records in which a TCS can be found.</summary>
    internal static int RecordOf(ulong tcs) =>
        MonitorLayout.Tcss + ((int)(unchecked((uint)(tcs >> 12) * (uint)HashMultiplier) >> HashShift) * MonitorLayout.RecordSize);

    /// <param name="isTraced">Transitions are to write events.</param>
    internal static MonitorCode Assemble(bool isTraced)
    {
        const ulong AnyView = 0x1000_0000;
        MonitorAssembler monitor = new(AnyView, MonitorLayout.Code);
        EventCode? events = isTraced ? new EventCode(monitor) : null;
        Assembler a = monitor.Code;
        Label enter = a.CreateLabel(), found = a.CreateLabel(), slowEnter = a.CreateLabel(), exit = a.CreateLabel();
        Label slowExit = a.CreateLabel(), slowExitRsi = a.CreateLabel(), call = a.CreateLabel(), called = a.CreateLabel();
        Label another = a.CreateLabel(), calledAnother = a.CreateLabel();

        a.Label(ref enter);
        SaveFlags(monitor, EENTER);
        a.cmp(Qword(ThreadRecord.AtTcs), 0);
        a.jne(slowEnter);
        events?.CheckRoom(EENTER, slowEnter);
        a.mov(rdx, rbx);
        monitor.Rule(Recovery.SavedRdx, EENTER);
        a.shr(rdx, 12);
        a.imul(edx, edx, HashMultiplier);
        a.shr(edx, HashShift);
        a.shl(edx, 7);
        monitor.Lea(Register.RAX, MonitorLayout.Tcss);
        a.add(rdx, rax);
        for (int probe = 0; probe < Probes; probe++)
        {
            a.cmp(__qword_ptr[rdx + TcsRecord.AtKey], rbx);
            a.je(found);
            if (probe + 1 < Probes)
            {
                a.add(rdx, MonitorLayout.RecordSize);
            }
        }
        a.jmp(slowEnter);

        a.Label(ref found);
        monitor.Rule(Recovery.Taken, EENTER);
        a.mov(eax, (int)TcsRecord.Ready);
        a.@lock.cmpxchg(__qword_ptr[rdx + TcsRecord.AtState], rcx);
        a.jne(slowEnter);
        a.mov(Qword(ThreadRecord.AtTcs), rdx);
        a.mov(rax, Qword(ThreadRecord.AtRcx));
        a.mov(Qword(ThreadRecord.AtAep), rax);
        a.mov(rax, __qword_ptr[rdx + TcsRecord.AtGpr]);
        a.mov(__qword_ptr[rax + URsp], rsp);
        a.mov(__qword_ptr[rax + URbp], rbp);
        a.rdfsbase(rax);
        a.mov(Qword(ThreadRecord.AtHostFs), rax);
        a.rdgsbase(rax);
        a.mov(Qword(ThreadRecord.AtHostGs), rax);
        monitor.Rule(Recovery.Based, EENTER);
        a.mov(rax, __qword_ptr[rdx + TcsRecord.AtFsBase]);
        a.wrfsbase(rax);
        a.mov(rax, __qword_ptr[rdx + TcsRecord.AtGsBase]);
        a.wrgsbase(rax);
        a.mov(rax, Qword(ThreadRecord.AtSite));
        a.mov(rax, __qword_ptr[rax + SiteRecord.AtEntryCounter]);
        a.inc(__qword_ptr[rcx + rax]);
        a.lea(rdx, __[rdx + (MonitorLayout.Landings - MonitorLayout.Tcss)]);
        a.mov(Qword(ThreadRecord.AtLanding), rdx);
        events?.Write(EENTER);
        events?.Publish(Recovery.Entered);
        RestoreFlags(a);
        a.mov(rdx, Qword(ThreadRecord.AtRdx));
        a.mov(rax, Qword(ThreadRecord.AtLanding));
        a.mov(rcx, Qword(ThreadRecord.AtSite));
        a.mov(rcx, __qword_ptr[rcx + SiteRecord.AtReturn]);
        a.jmp(rax);

        a.Label(ref slowEnter);
        monitor.Rule(Recovery.SavedRdx, EENTER);
        a.mov(rdx, Qword(ThreadRecord.AtRdx));
        monitor.Rule(Recovery.SavedFlags, EENTER);
        a.mov(eax, EENTER);
        a.jmp(call);

        a.Label(ref exit);
        SaveFlags(monitor, EEXIT);
        a.mov(rax, rbx);
        a.shr(rax, 47); // an address of the kernel's half, or none: the leaf's #GP, or a fault behind it
        a.jne(slowExit);
        events?.CheckRoom(EEXIT, slowExit);
        a.mov(rdx, Qword(ThreadRecord.AtTcs));
        monitor.Rule(Recovery.SavedRdx, EEXIT);
        a.cmp(rdx, (int)ThreadRecord.Occupied);
        a.jbe(slowExit);
        a.mov(Qword(ThreadRecord.AtRsi), rsi);
        monitor.Rule(Recovery.SavedRsi, EEXIT);
        if (events is not null)
        {
            events.Write(EEXIT);
            a.mov(rdx, Qword(ThreadRecord.AtTcs));
        }
        a.mov(rax, __qword_ptr[rdx + TcsRecord.AtState]);
        a.cmp(ax, cx);
        a.jne(slowExitRsi);
        a.mov(esi, (int)TcsRecord.Ready);
        a.@lock.cmpxchg(__qword_ptr[rdx + TcsRecord.AtState], rsi);
        monitor.Rule(Recovery.LeftIfZero, EEXIT);
        a.jne(slowExitRsi);

        monitor.Rule(Recovery.Left, EEXIT);
        events?.Publish(Recovery.LeftAndTold);
        a.mov(Qword(ThreadRecord.AtTcs), 0);
        a.mov(rax, Qword(ThreadRecord.AtHostFs));
        a.wrfsbase(rax);
        a.mov(rax, Qword(ThreadRecord.AtHostGs));
        a.wrgsbase(rax);
        a.inc(Qword(ThreadRecord.AtExits));
        RestoreFlags(a);
        a.mov(rsi, Qword(ThreadRecord.AtRsi));
        a.mov(rdx, Qword(ThreadRecord.AtRdx));
        a.mov(rcx, Qword(ThreadRecord.AtAep));
        a.mov(eax, EEXIT);
        a.jmp(rbx);

        a.Label(ref slowExitRsi);
        monitor.Rule(Recovery.SavedRsi, EEXIT);
        a.mov(rsi, Qword(ThreadRecord.AtRsi));
        a.Label(ref slowExit);
        monitor.Rule(Recovery.SavedRdx, EEXIT);
        a.mov(rdx, Qword(ThreadRecord.AtRdx));
        monitor.Rule(Recovery.SavedFlags, EEXIT);
        a.mov(eax, EEXIT);

        // As the trap of the vDSO's function: an rt_sigreturn that only our filter stops. No signal is involved.
        a.Label(ref call);
        monitor.Rule(Recovery.Asking);
        a.mov(Qword(ThreadRecord.AtLeaf), rax);
        a.mov(Qword(ThreadRecord.AtR10), r10);
        a.mov(Qword(ThreadRecord.AtR11), r11);
        monitor.Rule(Recovery.Calling);
        a.mov(r10, VdsoEnterEnclave.TrapMagic);
        a.mov(eax, SYS_rt_sigreturn);
        a.syscall();
        a.Label(ref called);
        a.ud2();

        // Leaves that are the supervisor's in any case. The flags are the program's, but for the zero flag.
        a.Label(ref another);
        monitor.Rule(Recovery.Saved);
        a.mov(Qword(ThreadRecord.AtR10), r10);
        a.mov(Qword(ThreadRecord.AtR11), r11);
        monitor.Rule(Recovery.CallingAnother);
        a.mov(r10, VdsoEnterEnclave.TrapMagic);
        a.mov(eax, SYS_rt_sigreturn);
        a.syscall();
        a.Label(ref calledAnother);
        a.ud2();

        byte[] bytes = monitor.Assemble(out RecoveryPoint[] rules, out AssemblerResult result);
        int At(Label label) => (int)(result.GetLabelRIP(label) - AnyView);
        return new MonitorCode(isTraced, bytes, rules, At(enter), At(exit), At(another), At(called), At(calledAnother));
    }

    /// <summary>Saves RDX, and the flags but for the zero flag, which is in the record.</summary>
    private static void SaveFlags(MonitorAssembler monitor, int leaf)
    {
        monitor.Rule(Recovery.Saved);
        monitor.Code.lahf();
        monitor.Code.seto(al);
        monitor.Code.mov(__word_ptr[rcx + ThreadRecord.AtFlags], ax);
        monitor.Code.mov(Qword(ThreadRecord.AtRdx), rdx);
        monitor.Rule(Recovery.SavedFlags, leaf);
    }

    private static void RestoreFlags(Assembler a)
    {
        a.mov(ax, __word_ptr[rcx + ThreadRecord.AtFlags]);
        a.and(ah, 0xBF);
        a.or(ah, __byte_ptr[rcx + ThreadRecord.AtZero]);
        a.add(al, 0x7F); // overflows if AL is 1
        a.sahf();
    }

    private static AssemblerMemoryOperand Qword(int field) => __qword_ptr[rcx + field];
}
