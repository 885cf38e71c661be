using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Ptrace;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Supervision;

/// <summary>
/// process_vm_readv and process_vm_writev on a supervised process, itself included: a mapping of the SGX device has no pages that the
/// kernel could pin (VM_IO, VM_PFNMAP), so a transfer ends at the first enclave page that it comes to, with EFAULT if nothing was moved
/// until then (mm/process_vm_access.c). That holds for debug enclaves too.
/// </summary>
internal sealed class RemoteMemoryCalls(SupervisedProcesses processes, ProgramImage image)
{
    private readonly byte[] _buffer = new byte[1 << 16];

    /// <summary>A call that comes to enclave memory is not made: what of it goes before is done at its end.</summary>
    internal CallVerdict OnCall(TracedThread thread, in UserRegs regs) =>
        TryPlan(thread, regs, out Plan plan) && plan.Reachable < plan.Asked
            ? CallVerdict.Return(-EFAULT, PendingCall.RemoteMemory)
            : CallVerdict.GoOn;

    /// <summary>Moves what lies before the enclave memory.</summary>
    internal void OnCallEnd(TracedThread thread, in UserRegs regs)
    {
        // The program may have changed the vectors since: what they say now counts, and nothing else is remembered.
        UserRegs call = regs with { OrigRax = thread.CallRegs.OrigRax };
        if (!TryPlan(thread, call, out Plan plan))
        {
            return;
        }
        InjectedCalls calls = InjectedCalls.Begin(thread, image.Gadget(thread.Space), regs);
        try
        {
            long allowed = Probe(calls, thread, call);
            if (allowed != -EFAULT)
            {
                calls.Registers.Rax = (ulong)allowed; // ESRCH, EPERM
                return;
            }
            ulong moved = Move(thread.Space, plan, isWrite: call.OrigRax == SYS_process_vm_writev);
            calls.Registers.Rax = moved == 0 ? unchecked((ulong)-EFAULT) : moved;
        }
        finally
        {
            calls.Dispose();
        }
    }

    /// <summary>
    /// What a call asks, and how much of it comes before the first byte of enclave memory; false if it is the kernel's business alone: it
    /// names no enclave memory of a supervised process, or has arguments that the kernel refuses.
    /// </summary>
    private bool TryPlan(TracedThread thread, in UserRegs regs, out Plan plan)
    {
        plan = default;
        if (regs.R9 != 0 || processes.Find(thread, (int)regs.Rdi) is not TracedThread target || target.Space.Enclaves.Count == 0
            || UserVector.Read(thread.Space, regs.Rsi, regs.Rdx) is not UserPiece[] local
            || UserVector.Read(thread.Space, regs.R10, regs.R8, isLocal: false) is not UserPiece[] remote)
        {
            return false;
        }
        ulong asked = 0, reachable = 0;
        foreach (UserPiece piece in local)
        {
            asked = Math.Min(asked + piece.Length, MAX_RW_COUNT);
        }
        EnclaveMappings mappings = target.Space.Enclaves;
        foreach (UserPiece piece in remote)
        {
            ulong end = piece.Base + Math.Min(piece.Length, ulong.MaxValue - piece.Base);
            if (piece.Length > 0 && mappings.Overlaps(piece.Base, end))
            {
                ulong first = Math.Max(mappings[mappings.FirstEndingAfter(piece.Base)].Start, piece.Base);
                plan = new Plan(target, local, remote, asked, Math.Min(reachable + (first - piece.Base), asked));
                return true;
            }
            reachable = Math.Min(reachable + piece.Length, MAX_RW_COUNT);
        }
        return false;
    }

    /// <summary>Asks the kernel whether the thread may look there, by a call that it cannot fulfil: EFAULT if so.</summary>
    private long Probe(in InjectedCalls calls, TracedThread thread, in UserRegs call)
    {
        const ulong Nowhere = 1UL << 63;
        ulong scratch = VdsoData.ScratchAddress(image.DataArea(thread.Space));
        Span<ulong> pieces = [scratch, 1, Nowhere, 1];
        return thread.Space.Memory.Poke(scratch, System.Runtime.InteropServices.MemoryMarshal.AsBytes(pieces))
            ? calls.Call((int)call.OrigRax, call.Rdi, scratch, 1, scratch + 16, 1)
            : -EFAULT;
    }

    private ulong Move(AddressSpace caller, in Plan plan, bool isWrite)
    {
        plan.Target.Space.Tid = plan.Target.Tid;
        (AddressSpace from, AddressSpace to) = isWrite ? (caller, plan.Target.Space) : (plan.Target.Space, caller);
        ulong moved = 0, localDone = 0, remoteDone = 0;
        for (int l = 0, r = 0; moved < plan.Reachable;)
        {
            UserPiece local = plan.Local[l], remote = plan.Remote[r];
            if (localDone == local.Length)
            {
                (l, localDone) = (l + 1, 0);
                continue;
            }
            if (remoteDone == remote.Length)
            {
                (r, remoteDone) = (r + 1, 0);
                continue;
            }
            ulong length = Math.Min(Math.Min(local.Length - localDone, remote.Length - remoteDone), plan.Reachable - moved);
            Span<byte> part = _buffer.AsSpan(0, (int)Math.Min(length, (ulong)_buffer.Length));
            (ulong localAt, ulong remoteAt) = (local.Base + localDone, remote.Base + remoteDone);
            int read = from.Memory.ReadSome(isWrite ? localAt : remoteAt, part);
            int written = read > 0 ? to.Memory.WriteSome(isWrite ? remoteAt : localAt, part[..read]) : 0;
            moved += (ulong)written;
            localDone += (ulong)written;
            remoteDone += (ulong)written;
            if (written < part.Length)
            {
                break;
            }
        }
        return moved;
    }

    /// <param name="Target">Whose memory.</param>
    /// <param name="Local">The caller's pieces.</param>
    /// <param name="Remote">The target's.</param>
    /// <param name="Asked">Bytes that the local pieces hold.</param>
    /// <param name="Reachable">Bytes before the first one of enclave memory, <paramref name="Asked"/> at most.</param>
    private readonly record struct Plan(TracedThread Target, UserPiece[] Local, UserPiece[] Remote, ulong Asked, ulong Reachable);
}
