using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace SoftSgx.Host.Monitor;

/// <summary>The code of one ENCLU: what is executed in its place, up to where all sites share the rest.</summary>
/// <remarks>
/// <code>
///   the instructions that stood before the ENCLU, whose place the jump to here took
///   RAX = EENTER?  ──► RCX = the thread's record; what it had, and the site, go there; on with EENTER
///   RAX = EEXIT?   ──► the same; on with EEXIT
///   another leaf?  ──► the same; call the supervisor
///   jump to the ENCLU, which is in its place and traps
/// </code>
/// Not one flag may change and no register is free: hence LEA, JRCXZ and exchanges. LSL changes the zero flag alone, so its two values have a
/// path each. A thread without a record goes to the ENCLU; LSL of a selector that is known to be good or bad makes the zero flag again.
/// </remarks>
internal sealed class SiteCode
{
    private const int EENTER = 2, EEXIT = 4;

    /// <summary>EREPORT, EGETKEY, ERESUME, EACCEPT, EMODPE, EACCEPTCOPY, EDECCSSA: done by the supervisor, which is called without a signal.</summary>
    private static ReadOnlySpan<int> OtherLeaves => [0, 1, 3, 5, 6, 7, 9];

    /// <summary>The selector of the kernel's 64-bit code segment for programs, __USER_CS: LSL finds it.</summary>
    private const int GoodSelector = 0x33;

    private const byte ZeroFlag = 0x40;

    private SiteCode(byte[] bytes, RecoveryPoint[] rules)
    {
        Bytes = bytes;
        Rules = rules;
    }

    internal byte[] Bytes { get; }

    internal RecoveryPoint[] Rules { get; }

    /// <summary>Assembles it; null if it cannot reach what it refers to.</summary>
    /// <param name="common">The shared code.</param>
    /// <param name="view">Address of the view.</param>
    /// <param name="origin">Offset of the site's record in the monitor; the code follows it.</param>
    /// <param name="stolen">The instructions that are executed first, decoded at their own addresses.</param>
    /// <param name="enclu">Address of the ENCLU, or what stands for it.</param>
    internal static SiteCode? Assemble(MonitorCode common, ulong view, int origin, ReadOnlySpan<Instruction> stolen, ulong enclu)
    {
        MonitorAssembler monitor = new(view, origin + SiteRecord.Bytes);
        Assembler a = monitor.Code;
        Label enter = a.CreateLabel(), exit = a.CreateLabel();
        foreach (ref readonly Instruction instruction in stolen)
        {
            monitor.Rule(Recovery.AtStolen, (int)(instruction.IP - stolen[0].IP));
            a.AddInstruction(instruction);
        }
        monitor.Rule(Recovery.AtEnclu);
        a.xchg(rcx, rax);
        monitor.Rule(Recovery.Exchanged);
        a.lea(rcx, __[rcx - EENTER]);
        monitor.Rule(Recovery.Exchanged, EENTER);
        a.jrcxz(enter);
        a.lea(rcx, __[rcx - (EEXIT - EENTER)]);
        monitor.Rule(Recovery.Exchanged, EEXIT);
        a.jrcxz(exit);
        ReadOnlySpan<int> others = stolen.IsEmpty ? [] : OtherLeaves; // the vDSO's function has the two alone
        Label[] hops = new Label[others.Length], blocks = new Label[others.Length];
        int less = EEXIT;
        for (int i = 0; i < others.Length; i++)
        {
            (hops[i], blocks[i]) = (a.CreateLabel(), a.CreateLabel());
            a.lea(rcx, __[rcx + (less - others[i])]);
            less = others[i];
            monitor.Rule(Recovery.Exchanged, less);
            a.jrcxz(hops[i]);
        }
        a.lea(rcx, __[rcx + less]);
        monitor.Rule(Recovery.Exchanged);
        a.xchg(rcx, rax);
        monitor.Rule(Recovery.AtEnclu);
        a.jmp(enclu);
        for (int i = 0; i < others.Length; i++)
        {
            a.Label(ref hops[i]); // JRCXZ does not reach far
            monitor.Rule(Recovery.Named, others[i]);
            a.jmp(blocks[i]);
        }

        a.Label(ref enter);
        Name(monitor, EENTER, origin, enclu, common.Enter);
        a.Label(ref exit);
        Name(monitor, EEXIT, origin, enclu, common.Exit);
        for (int i = 0; i < others.Length; i++)
        {
            a.Label(ref blocks[i]);
            Name(monitor, others[i], origin, enclu, common.Another);
        }
        try
        {
            byte[] bytes = monitor.Assemble(out RecoveryPoint[] rules, out _);
            return new SiteCode(bytes, rules);
        }
        catch (InvalidOperationException)
        {
            return null; // an operand relative to RIP is out of reach
        }
    }

    // RAX is what RCX was, RCX is zero.
    private static void Name(MonitorAssembler monitor, int leaf, int origin, ulong enclu, int next)
    {
        Assembler a = monitor.Code;
        Label zero = a.CreateLabel(), named = a.CreateLabel(), noneClear = a.CreateLabel(), noneSet = a.CreateLabel();
        monitor.Rule(Recovery.Named, leaf);
        a.jz(zero);

        monitor.Rule(Recovery.NamedZeroClear, leaf);
        monitor.FindRecord();
        a.jnz(noneClear);
        a.mov(__byte_ptr[rcx + ThreadRecord.AtZero], 0);
        a.jmp(named);

        a.Label(ref zero);
        monitor.Rule(Recovery.NamedZeroSet, leaf);
        monitor.FindRecord();
        a.jnz(noneSet);
        a.mov(__byte_ptr[rcx + ThreadRecord.AtZero], ZeroFlag);

        a.Label(ref named);
        monitor.Rule(Recovery.NamedZeroKept, leaf);
        a.mov(__qword_ptr[rcx + ThreadRecord.AtLeaf], leaf);
        a.mov(__qword_ptr[rcx + ThreadRecord.AtRcx], rax);
        monitor.Rule(Recovery.Saved);
        monitor.Lea(Register.RAX, origin);
        a.mov(__qword_ptr[rcx + ThreadRecord.AtSite], rax);
        a.jmp((ulong)monitor.Address(next));

        a.Label(ref noneSet);
        monitor.Rule(Recovery.NamedZeroSet, leaf);
        a.mov(ecx, GoodSelector);
        a.lsl(cx, cx);
        a.Label(ref noneClear);
        monitor.Rule(Recovery.Named, leaf);
        a.mov(ecx, leaf);
        monitor.Rule(Recovery.Exchanged);
        a.xchg(rcx, rax);
        monitor.Rule(Recovery.AtEnclu);
        a.jmp(enclu);
    }
}
