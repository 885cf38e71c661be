using Iced.Intel;
using SoftSgx.Host.Vdso;
using SoftSgx.Processor;
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
///          it counts                       one compare-and-exchange of the thread's record with the TCS's
///          FS, GS of the enclave           WRFSBASE, WRGSBASE
///          RAX = CSSA, RCX = behind ENCLU  jump to the entry point, by the landing that belongs to the TCS
///
/// ERESUME  the same, but with a look at the SSA frame: RIP or XSTATE_BV not what it should be? ──► the supervisor
///          FS, GS from the SSA frame       before it counts, as they may fault
///          XRSTOR from the SSA frame       if it faults, it did not count after all
///          all registers                   jump to where it goes on, by the landing that belongs to the thread
///
/// EEXIT    not inside by this way, or RBX no address of a program? ──► the supervisor
///          give the TCS back
///          FS, GS of the host, RCX = AEP, RAX = 4, jump to RBX
/// </code>
/// <para>
/// In a traced run all of them also write an event (<see cref="EventCode"/>); a ring that is full is one more reason for the supervisor.
/// </para>
/// </remarks>
internal sealed class MonitorCode
{
    private const int EENTER = 2, ERESUME = 3, EEXIT = 4, SYS_rt_sigreturn = 15;

    /// <summary>Offsets in GPRSGX.</summary>
    internal const int URsp = 144, URbp = 152;

    private const int
        GprRax = 0, GprRcx = 8, GprRdx = 16, GprRbx = 24, GprRsp = 32, GprRbp = 40, GprRsi = 48, GprRdi = 56, GprR8 = 64, GprR9 = 72, GprR10 = 80,
        GprR11 = 88, GprR12 = 96, GprR13 = 104, GprR14 = 112, GprR15 = 120, GprRflags = 128, GprRip = 136, GprFsBase = 168, GprGsBase = 176;

    /// <summary>Offsets in an XSAVE area.</summary>
    private const int XstateBv = 512, XcompBv = 520;

    /// <summary>
    /// What ERESUME loads of the flags, but RF, which POPF does not take. It would keep a breakpoint register from matching at the first instruction;
    /// inside, after an entry that does not opt in to debugging, none matches.
    /// </summary>
    private const ulong LoadedFlags = EResume.RestoredFlags & ~Rflags.RF;

    /// <summary>From a TCS's record to its landing.</summary>
    internal const int ToLanding = MonitorLayout.Landings - MonitorLayout.Tcss;

    /// <summary>The flags that are always set in a program: bit 1 and IF.</summary>
    private const int UserFlags = 0x202;

    /// <summary>Multiplier of the hash of a TCS's page number: 2^32 divided by the golden ratio.</summary>
    private const int HashMultiplier = unchecked((int)0x9E37_79B1);

    private const int HashShift = 23; // leaves nine bits: RecordCount

    private MonitorCode(bool isTraced, byte[] bytes, RecoveryPoint[] rules, int enter, int resume, int exit, int another, int called, int calledAnother)
    {
        IsTraced = isTraced;
        Bytes = bytes;
        Rules = rules;
        Enter = enter;
        Resume = resume;
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

    /// <summary>The rule of the landing at an offset.</summary>
    internal RecoveryPoint LandingAt(int offset) => new(
        0,
        offset % MonitorLayout.RecordSize < MonitorLayout.ThreadLanding
            ? IsTraced ? Recovery.EnteredAndTold : Recovery.Entered
            : IsTraced ? Recovery.ResumedAndTold : Recovery.Resumed,
        0);

    /// <summary>Offsets in the monitor of the code of EENTER, ERESUME and EEXIT.</summary>
    internal int Enter { get; }

    internal int Resume { get; }

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
        Label enter = a.CreateLabel(), resume = a.CreateLabel(), exit = a.CreateLabel();
        Label slowExit = a.CreateLabel(), slowExitFlags = a.CreateLabel(), slowExitRsi = a.CreateLabel(), call = a.CreateLabel(), called = a.CreateLabel();
        Label another = a.CreateLabel(), calledAnother = a.CreateLabel();

        a.Label(ref enter);
        AssembleEnter(monitor, events, call);
        a.Label(ref resume);
        AssembleResume(monitor, events, call);

        a.Label(ref exit);
        SaveFlags(monitor, EEXIT);
        a.mov(rax, rbx);
        a.shr(rax, 47); // an address of the kernel's half, or none: the leaf's #GP, or a fault behind it
        a.jne(slowExitFlags);
        events?.CheckRoom(EEXIT, slowExit);
        a.mov(rdx, Qword(ThreadRecord.AtTcs));
        monitor.Rule(Recovery.SavedRdx, EEXIT);
        a.cmp(rdx, (int)ThreadRecord.Refused);
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
        RestoreLeaf(monitor, EEXIT, ref slowExit, ref slowExitFlags);

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
        return new MonitorCode(isTraced, bytes, rules, At(enter), At(resume), At(exit), At(another), At(called), At(calledAnother));
    }

    private static void AssembleEnter(MonitorAssembler monitor, EventCode? events, Label call)
    {
        Assembler a = monitor.Code;
        Label giveBack = a.CreateLabel(), slow = a.CreateLabel(), slowFlags = a.CreateLabel();
        SaveFlags(monitor, EENTER);
        a.cmp(Qword(ThreadRecord.AtTcs), 0);
        a.jne(slowFlags);
        Take(monitor, events, EENTER, slow);
        a.mov(rax, __qword_ptr[rdx + TcsRecord.AtGpr]);
        a.test(rax, rax);
        a.je(giveBack);
        a.xor(eax, eax);
        a.@lock.cmpxchg(Qword(ThreadRecord.AtTcs), rdx);
        monitor.Rule(Recovery.EnteredIfZero, EENTER);
        a.jne(giveBack);

        // Not before: a thread that is refused may find another one's stack there.
        monitor.Rule(Recovery.Entered, EENTER);
        KeepStack(a, TcsRecord.AtGpr);
        a.mov(rax, __qword_ptr[rdx + TcsRecord.AtFsBase]);
        a.wrfsbase(rax);
        a.mov(rax, __qword_ptr[rdx + TcsRecord.AtGsBase]);
        a.wrgsbase(rax);
        a.mov(rax, Qword(ThreadRecord.AtSite));
        a.mov(rax, __qword_ptr[rax + SiteRecord.AtEntryCounter]);
        a.inc(__qword_ptr[rcx + rax]);
        events?.Publish(Recovery.EnteredAndTold);
        RestoreFlags(a);
        a.mov(rdx, Qword(ThreadRecord.AtRdx));
        a.mov(rax, Qword(ThreadRecord.AtLanding));
        a.mov(rcx, Qword(ThreadRecord.AtSite));
        a.mov(rcx, __qword_ptr[rcx + SiteRecord.AtReturn]);
        a.jmp(rax);

        a.Label(ref giveBack);
        GiveBack(monitor, EENTER);
        RestoreLeaf(monitor, EENTER, ref slow, ref slowFlags);
        a.jmp(call);
    }

    private static void AssembleResume(MonitorAssembler monitor, EventCode? events, Label call)
    {
        Assembler a = monitor.Code;
        Label trusted = a.CreateLabel(), unbase = a.CreateLabel(), giveBack = a.CreateLabel();
        Label slow = a.CreateLabel(), slowFlags = a.CreateLabel();
        SaveFlags(monitor, ERESUME);
        a.mov(rax, Qword(ThreadRecord.AtTcs));
        a.test(rax, rax);
        a.je(trusted);
        a.cmp(rax, (int)ThreadRecord.Interrupted);
        a.jne(slowFlags);
        a.cmp(Qword(ThreadRecord.AtReturnRsp), rsp);
        a.jne(slowFlags);
        a.cmp(Qword(ThreadRecord.AtReturnTcs), rbx);
        a.jne(slowFlags);
        a.mov(Qword(ThreadRecord.AtTcs), 0);
        a.Label(ref trusted);
        Take(monitor, events, ERESUME, slow);
        a.mov(rax, __qword_ptr[rdx + TcsRecord.AtResume]);
        a.test(rax, rax);
        a.je(giveBack);
        // The enclave's other threads may write to the frame at any time: what is checked is read once.
        a.mov(rax, __qword_ptr[rax + GprRip]);
        a.mov(Qword(ThreadRecord.AtTarget), rax);
        a.shr(rax, 47); // an address of the kernel's half, or none: the leaf's #GP, or a fault behind it
        a.jne(giveBack);
        a.mov(rax, __qword_ptr[rdx + TcsRecord.AtResume]);
        a.mov(rax, __qword_ptr[rax + GprRflags]);
        a.and(rax, (int)LoadedFlags);
        a.or(rax, UserFlags);
        a.mov(Qword(ThreadRecord.AtImage), rax);
        // XRSTOR takes a compacted image, and passes over components that are not in XFRM; ERESUME does neither.
        a.mov(rax, __qword_ptr[rdx + TcsRecord.AtXsave]);
        a.cmp(__qword_ptr[rax + XcompBv], 0);
        a.jne(giveBack);
        a.mov(rax, __qword_ptr[rax + XstateBv]);
        a.test(__qword_ptr[rdx + TcsRecord.AtNotXfrm], rax);
        a.jne(giveBack);
        monitor.Rule(Recovery.Based, ERESUME);
        a.mov(rax, __qword_ptr[rdx + TcsRecord.AtResume]);
        a.mov(rax, __qword_ptr[rax + GprFsBase]);
        a.wrfsbase(rax);
        a.mov(rax, __qword_ptr[rdx + TcsRecord.AtResume]);
        a.mov(rax, __qword_ptr[rax + GprGsBase]);
        a.wrgsbase(rax);
        a.xor(eax, eax);
        a.@lock.cmpxchg(Qword(ThreadRecord.AtTcs), rdx);
        a.jne(unbase);
        KeepStack(a, TcsRecord.AtResume);
        a.mov(rbx, __qword_ptr[rdx + TcsRecord.AtXsave]);
        a.mov(eax, __dword_ptr[rdx + TcsRecord.AtXfrm]);
        a.xor(edx, edx);
        a.xrstor64(__[rbx]);

        // No way back from here: all that is needed now lies in the records and in the frame.
        monitor.Rule(Recovery.Resumed, ERESUME);
        events?.Publish(Recovery.ResumedAndTold);
        a.mov(rdx, Qword(ThreadRecord.AtTcs));
        a.mov(rbx, __qword_ptr[rdx + TcsRecord.AtResume]);
        a.mov(rax, __qword_ptr[rdx + TcsRecord.AtResumedGpr]);
        a.mov(__qword_ptr[rdx + TcsRecord.AtGpr], rax);
        a.mov(eax, __dword_ptr[rdx + TcsRecord.AtResumedCssa]);
        a.mov(__dword_ptr[rdx + TcsRecord.AtCssa], eax);
        a.mov(__qword_ptr[rdx + TcsRecord.AtResume], 0);
        a.lea(rax, __[rcx + (MonitorLayout.Landings + MonitorLayout.ThreadLanding - MonitorLayout.Threads)]);
        a.mov(Qword(ThreadRecord.AtLanding), rax);
        a.mov(rax, __qword_ptr[rbx + GprRcx]);
        a.mov(Qword(ThreadRecord.AtRcx), rax);
        a.lea(rsp, __[rcx + ThreadRecord.AtImage]);
        a.popfq();
        a.mov(rax, __qword_ptr[rbx + GprRax]);
        a.mov(rdx, __qword_ptr[rbx + GprRdx]);
        a.mov(rsp, __qword_ptr[rbx + GprRsp]);
        a.mov(rbp, __qword_ptr[rbx + GprRbp]);
        a.mov(rsi, __qword_ptr[rbx + GprRsi]);
        a.mov(rdi, __qword_ptr[rbx + GprRdi]);
        a.mov(r8, __qword_ptr[rbx + GprR8]);
        a.mov(r9, __qword_ptr[rbx + GprR9]);
        a.mov(r10, __qword_ptr[rbx + GprR10]);
        a.mov(r11, __qword_ptr[rbx + GprR11]);
        a.mov(r12, __qword_ptr[rbx + GprR12]);
        a.mov(r13, __qword_ptr[rbx + GprR13]);
        a.mov(r14, __qword_ptr[rbx + GprR14]);
        a.mov(r15, __qword_ptr[rbx + GprR15]);
        a.mov(rbx, __qword_ptr[rbx + GprRbx]);
        a.jmp(Qword(ThreadRecord.AtLanding));

        a.Label(ref unbase);
        monitor.Rule(Recovery.Based, ERESUME);
        a.mov(rax, Qword(ThreadRecord.AtHostFs));
        a.wrfsbase(rax);
        a.mov(rax, Qword(ThreadRecord.AtHostGs));
        a.wrgsbase(rax);
        a.Label(ref giveBack);
        GiveBack(monitor, ERESUME);
        RestoreLeaf(monitor, ERESUME, ref slow, ref slowFlags);
        a.jmp(call);
    }

    /// <summary>On only if the AEP is an address of the program's half: another may be the leaf's #GP. RAX is lost.</summary>
    private static void CheckAep(Assembler a, Label slow)
    {
        a.mov(rax, Qword(ThreadRecord.AtRcx));
        a.shr(rax, 47);
        a.jne(slow);
    }

    /// <summary>The record of the TCS in RBX into RDX; elsewhere if there is none. RAX is lost.</summary>
    private static void FindTcs(MonitorAssembler monitor, int leaf, Label slow)
    {
        Assembler a = monitor.Code;
        Label found = a.CreateLabel();
        a.mov(rdx, rbx);
        monitor.Rule(Recovery.SavedRdx, leaf);
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
        a.jmp(slow);
        a.Label(ref found);
    }

    /// <summary>RSP and RBP go to the frame whose address is in a field of the TCS's record. RAX is lost.</summary>
    private static void KeepStack(Assembler a, int frame)
    {
        a.mov(rax, __qword_ptr[rdx + frame]);
        a.mov(__qword_ptr[rax + URsp], rsp);
        a.mov(__qword_ptr[rax + URbp], rbp);
    }

    /// <summary>
    /// Finds the TCS, takes it, and writes down what the supervisor will have to know of the entry before it counts: it counts from the exchange on by
    /// which the thread's record gets the TCS. If the supervisor takes the TCS away before that, it lets the exchange fail.
    /// </summary>
    private static void Take(MonitorAssembler monitor, EventCode? events, int leaf, Label slow)
    {
        Assembler a = monitor.Code;
        events?.CheckRoom(leaf, slow);
        CheckAep(a, slow);
        FindTcs(monitor, leaf, slow);
        a.lea(rax, __[rdx + ToLanding]);
        a.mov(Qword(ThreadRecord.AtLanding), rax);
        monitor.Rule(Recovery.Taken, leaf);
        a.mov(eax, (int)TcsRecord.Ready);
        a.@lock.cmpxchg(__qword_ptr[rdx + TcsRecord.AtState], rcx);
        a.jne(slow);
        a.mov(__byte_ptr[rcx + ThreadRecord.AtEntered], leaf);
        a.mov(rax, Qword(ThreadRecord.AtRcx));
        a.mov(Qword(ThreadRecord.AtAep), rax);
        a.rdfsbase(rax);
        a.mov(Qword(ThreadRecord.AtHostFs), rax);
        a.rdgsbase(rax);
        a.mov(Qword(ThreadRecord.AtHostGs), rax);
        if (events is not null)
        {
            events.Write(leaf);
            a.mov(rdx, Qword(ThreadRecord.AtLanding));
            a.lea(rdx, __[rdx - ToLanding]);
        }
    }

    /// <summary>Gives back a TCS that was taken, unless it has been taken away.</summary>
    private static void GiveBack(MonitorAssembler monitor, int leaf)
    {
        Assembler a = monitor.Code;
        monitor.Rule(Recovery.Taken, leaf);
        a.mov(rax, rcx);
        a.mov(ecx, (int)TcsRecord.Ready);
        a.@lock.cmpxchg(__qword_ptr[rdx + TcsRecord.AtState], rcx);
        monitor.FindRecord();
    }

    /// <summary>
    /// The way to the supervisor, which is to do the leaf: RDX as it was (<paramref name="slow"/>), where it has been changed, and RAX
    /// (<paramref name="slowFlags"/>).
    /// </summary>
    private static void RestoreLeaf(MonitorAssembler monitor, int leaf, ref Label slow, ref Label slowFlags)
    {
        Assembler a = monitor.Code;
        a.Label(ref slow);
        monitor.Rule(Recovery.SavedRdx, leaf);
        a.mov(rdx, Qword(ThreadRecord.AtRdx));
        a.Label(ref slowFlags);
        monitor.Rule(Recovery.SavedFlags, leaf);
        a.mov(eax, leaf);
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
