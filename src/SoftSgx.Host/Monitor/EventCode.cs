using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace SoftSgx.Host.Monitor;

/// <summary>The code by which a transition of a traced run tells of itself: an event in the ring of its thread.</summary>
/// <remarks>
/// In three steps, each with RCX at the thread's record, and flags, RDX and all else that it may not lose saved there; RAX and RDX are lost.
/// First there must be room: a ring that is full is the supervisor's to empty. Then the event is written behind the ring's head, where
/// nobody sees it. At last one instruction moves the head. What comes before it can be taken back, what comes behind it is completed, so
/// that a transition has an event if and only if it has happened.
/// </remarks>
internal sealed class EventCode(MonitorAssembler monitor)
{
    private const int EENTER = 2, EEXIT = 4;

    private readonly Assembler _a = monitor.Code;

    /// <summary>Goes to a label if there is no room. All registers are saved; they are recovered at the ENCLU of this leaf.</summary>
    internal void CheckRoom(int leaf, Label full)
    {
        monitor.Rule(Recovery.SavedRdx, leaf);
        FindControl();
        _a.mov(rax, __qword_ptr[rdx + RingControl.AtHead]);
        _a.sub(rax, __qword_ptr[rdx + RingControl.AtTail]);
        _a.cmp(rax, TransitionRing.Room);
        _a.jae(full);
    }

    /// <summary>Writes the event of a leaf, whose AEP, TCS and site are in the thread's record.</summary>
    internal void Write(int leaf)
    {
        const int RingOfRecord = MonitorLayout.RingSize / MonitorLayout.RecordSize;
        if (leaf != EEXIT)
        {
            _a.lfence(); // not before the TCS was taken: who had it before has told the time of its exit by then
        }
        _a.rdtsc();
        _a.shl(rdx, 32);
        _a.or(rax, rdx);
        _a.mov(__qword_ptr[rcx + ThreadRecord.AtR10], rax); // of use in calls to the supervisor alone
        FindControl();
        _a.mov(edx, __dword_ptr[rdx + RingControl.AtHead]);
        _a.and(edx, TransitionRing.Events - 1);
        _a.imul(edx, edx, RingEvent.Bytes);
        _a.imul(eax, eax, RingOfRecord);
        _a.add(rdx, rax);
        monitor.Load(Register.RAX, MonitorLayout.RingsAddress);
        _a.add(rdx, rax);
        _a.mov(rax, __qword_ptr[rcx + ThreadRecord.AtR10]);
        _a.mov(__qword_ptr[rdx + RingEvent.AtTime], rax);
        _a.mov(__qword_ptr[rdx + RingEvent.AtRbx], rbx);
        _a.mov(rax, __qword_ptr[rcx + ThreadRecord.AtAep]);
        _a.mov(__qword_ptr[rdx + RingEvent.AtRcx], rax);
        _a.mov(rax, __qword_ptr[rcx + ThreadRecord.AtSite]);
        _a.mov(al, __byte_ptr[rax + SiteRecord.AtEntryCounter]);
        _a.mov(__byte_ptr[rdx + RingEvent.AtWay], al);
        _a.mov(__byte_ptr[rdx + RingEvent.AtLeaf], leaf);
        _a.mov(rax, __qword_ptr[rcx + ThreadRecord.AtTcs]);
        _a.mov(__word_ptr[rdx + RingEvent.AtTcs], ax);
        if (leaf == EENTER)
        {
            _a.mov(eax, __dword_ptr[rax + TcsRecord.AtCssa]);
            _a.mov(__dword_ptr[rdx + RingEvent.AtCssa], eax);
        }
    }

    /// <summary>Publishes the event that was written last; from then on the thread is recovered by a rule of transitions that have happened.</summary>
    internal void Publish(Recovery happened)
    {
        FindControl();
        _a.inc(__qword_ptr[rdx + RingControl.AtHead]);
        monitor.Rule(happened);
    }

    // RDX: the ring's control. RAX: the offset of the thread's record.
    private void FindControl()
    {
        monitor.Load(Register.RDX, MonitorLayout.RingControlsAddress);
        _a.movzx(eax, cx);
        _a.add(rdx, rax);
    }
}
