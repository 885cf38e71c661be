using System.Runtime.InteropServices;
using SoftSgx.Architecture;
using SoftSgx.Processor.Model;

namespace SoftSgx.Processor.Tests.Differential;

/// <summary>ENCLU, asynchronous exits, and what enclaves and page tables do on their own.</summary>
internal sealed partial class Pair
{
    // Where operands lie in a page of the enclave.
    private const int InfoOffset = 0;
    private const int RequestOffset = 512;
    private const int KeyOffset = 1024;
    private const int TargetOffset = 1536;
    private const int DataOffset = 2048;
    private const int ReportOffset = 2560;
    private const ulong ReturnAddress = 0x40_2003;

    private void ExecuteAsThread(Step step)
    {
        Threads? inside = Pick([.. _threads.Where(thread => thread.Real.InEnclave)], step.A);
        Threads? outside = Pick([.. _threads.Where(thread => !thread.Real.InEnclave)], step.A);
        switch (step.Op)
        {
            case Op.Map:
                MapAnything(step);
                return;

            case Op.AnyEnclu:
                Threads any = _threads[step.A % LogicalCount];
                RegisterFile registers = any.Registers;
                registers.Rax = (ulong)(step.B % 16);
                registers.Rbx = step.C % 2 == 0 ? FirstBase : registers.Rbx;
                Enclu(any, ref registers);
                return;

            case Op.Enter or Op.Resume:
                if (outside is not null) Enter(step, outside);
                return;

            default:
                if (inside is not null) ExecuteInside(step, inside);
                return;
        }
    }

    private void ExecuteInside(Step step, Threads thread)
    {
        ulong data = DataPage(step, thread, step.B, SecInfoFlags.W, entry => entry is { Pending: false, Modified: false, Blocked: false });
        RegisterFile registers = thread.Registers;
        switch (step.Op)
        {
            case Op.Exit:
                registers.Rax = (ulong)EncluLeaf.EEXIT;
                registers.Rbx = step.Off == Off.Outside ? 0x8000_0000_0000 : 0x40_2000UL;
                Enclu(thread, ref registers);
                break;

            case Op.Aex:
                ExceptionVector[] vectors = Enum.GetValues<ExceptionVector>();
                Interrupt(thread, step.B % 3 == 0 ? null : vectors[step.B % vectors.Length], step);
                break;

            case Op.DecCssa:
                registers.Rax = (ulong)EncluLeaf.EDECCSSA;
                Enclu(thread, ref registers);
                break;

            case Op.Poke:
                Poke(step, thread, data);
                break;

            case Op.Report:
                Report(step, thread, data);
                break;

            case Op.GetKey:
                GetKey(step, thread, data);
                break;

            default:
                Dynamic(step, thread, data);
                break;
        }
    }

    /// <summary>The address of a page of the thread's enclave, with those permissions if there is one.</summary>
    private ulong DataPage(Step step, Threads thread, int index, SecInfoFlags needed, Func<ModelEntry, bool> kind)
    {
        ModelEnclave enclave = thread.Model.Enclave!;
        List<ulong> pages =
        [
            .. _model.Epcm.Values
                .Where(e => e.Enclave == enclave && e.Type == PageType.PT_REG && (e.Permissions & needed) == needed && kind(e))
                .Select(e => e.Address),
        ];
        ulong any = enclave.Secs.BaseAddress + ((ulong)(index % 16) * PageSize);
        return step.Off == Off.SecondPage || pages.Count == 0 ? any : pages[index % pages.Count];
    }

    private void Enter(Step step, Threads thread)
    {
        bool resume = step.Op == Op.Resume;
        List<(ulong Address, ModelEnclave Enclave)> choices =
        [
            .. _model.Epcm
                .Where(pair => pair.Value is { Type: PageType.PT_TCS, Blocked: false } && (!resume || _model.TcsAt(pair.Key).CSsa > 0))
                .Select(pair => (pair.Value.Address, pair.Value.Enclave!)),
        ];
        RegisterFile registers = new()
        {
            Rax = (ulong)(resume ? EncluLeaf.ERESUME : EncluLeaf.EENTER),
            Rbx = choices.Count == 0 || step.Off == Off.Page ? FirstBase + ((ulong)(step.B % 32) * PageSize) : choices[step.B % choices.Count].Address,
            Rcx = step.Off == Off.Field ? 0x8000_0000_0000 : 0x40_1000UL + (ulong)step.C,
            Rip = ReturnAddress,
            Rsp = 0x7FFE_0000UL + ((ulong)step.C * 16),
            Rbp = 0x7FFE_8000,
            Rflags = 0x202 | (step.C % 4 == 1 ? Rflags.TF : 0) | (step.C % 3 == 1 ? Rflags.CF : 0),
            FsBase = 0xF5_0000,
            GsBase = 0x65_0000,
            Rdi = (ulong)step.C,
        };
        if (step.Off == Off.Alignment) registers.Rbx += 64;
        if (step.Off == Off.Outside) registers.Rbx = step.B % 2 == 0 ? 0x8000_0000_0000 : 0x1000UL;
        Enclu(thread, ref registers);
    }

    /// <summary>Runs ENCLU on both sides; a fault leaves the registers alone.</summary>
    private Outcome Enclu(Threads thread, ref RegisterFile registers)
    {
        ModelRegisters model = Copy(in registers);
        string leaf = ((EncluLeaf)registers.Rax).ToString();
        string operands = $"on {thread.Index}, rbx {registers.Rbx:x}, rcx {registers.Rcx:x}, rdx {registers.Rdx:x}";
        LeafResult real = SoftSgx.Processor.Enclu.Execute(_processor, thread.Real, ref registers, _space, thread.Xsave);
        Outcome expected = _model.Enclu(thread.Model, model, Translate, thread.ModelXsave);
        Expect(leaf, operands, expected, real);
        CompareRegisters(model, in registers);
        thread.Registers = registers;
        if (leaf == nameof(EncluLeaf.ERESUME) && expected.IsOk && registers.Rcx == ReturnAddress) Count(Notified);
        return expected;
    }

    private void Interrupt(Threads thread, ExceptionVector? vector, Step step)
    {
        ulong faultAddress = FirstBase + ((ulong)step.C * 64);
        RegisterFile registers = thread.Registers;
        registers.Rip = thread.Real.EnclaveBase + 0x2100;
        registers.Rax = (ulong)step.Noise;
        registers.R8 = (ulong)step.A;
        registers.R15 = (ulong)step.B;
        registers.FsBase = (ulong)step.A << 12;
        registers.GsBase = (ulong)step.C << 12;
        registers.Rflags = 0x202 | ((ulong)step.C * 0x41 & (Rflags.Arithmetic | Rflags.DF | Rflags.RF | Rflags.AC));
        for (int i = 0; i < XsaveLength; i++)
        {
            bool keep = i is >= 24 and < 32 || i is >= 512 and < 576;
            thread.Xsave[i] = keep ? thread.Xsave[i] : (byte)(i * step.C);
        }

        thread.Xsave[512] = (byte)(step.B % 8);
        thread.Xsave.CopyTo(thread.ModelXsave, 0);

        ModelRegisters model = Copy(in registers);
        ExitEvent e = new(vector is not null, (byte)(vector ?? 0), vector == ExceptionVector.BP, (uint)step.B, faultAddress);
        AsynchronousExit.Execute(_processor, thread.Real, ref registers, thread.Xsave, in e);
        _model.AsynchronousExit(thread.Model, model, thread.ModelXsave, vector, (uint)step.B, faultAddress);
        Expect("AEX", $"on {thread.Index} by {vector}", Outcome.Ok, LeafResult.Ok);
        CompareRegisters(model, in registers);
        thread.Registers = registers;
    }

    private void Report(Step step, Threads thread, ulong page)
    {
        TargetInfo target = default;
        target.Measurement.AsSpan().Fill((byte)step.C);
        target.Attributes.Flags = (AttributeFlags)step.C;
        target.MiscSelect = (MiscSelect)(step.B % 2);
        target.ConfigSvn = (ushort)step.C;
        target.CetAttributes = (byte)(step.A % 3);
        target.ConfigId.AsSpan()[1] = (byte)step.B;
        if (step.Off == Off.Field) Bytes.Writable(ref target)[(step.C % 3) switch { 0 => 49, 1 => 60, _ => 200 }] = 1;
        if (step.Off == Off.Bit) Flip(Bytes.Writable(ref target), step.Noise);
        Write(page + TargetOffset, Bytes.Of(in target));
        RegisterFile registers = thread.Registers;
        registers.Rax = (ulong)EncluLeaf.EREPORT;
        registers.Rbx = page + TargetOffset;
        registers.Rcx = page + DataOffset;
        registers.Rdx = DataPage(step, thread, step.C, SecInfoFlags.W, _ => true) + ReportOffset;
        Disturb(step, ref registers);
        Enclu(thread, ref registers);
    }

    private void GetKey(Step step, Threads thread, ulong page)
    {
        KeyRequest request = default;
        request.KeyName = (KeyName)(step.B % 5);
        request.KeyPolicy = (KeyPolicy)(step.C % 4);
        if (thread.Model.Enclave!.Secs.Attributes.Flags.HasFlag(AttributeFlags.KSS) || step.Off == Off.Field)
        {
            request.KeyPolicy = (KeyPolicy)(step.C % 64);
            request.ConfigSvn = (ushort)(step.A % 3);
        }

        request.IsvSvn = (ushort)(step.A % 3);
        request.CpuSvn.AsSpan()[0] = (byte)(step.C % 2);
        if (step.C % 16 == 15) request.CpuSvn.AsSpan()[9] = 1;
        request.AttributeMask = new SgxAttributes((AttributeFlags)step.B, (ulong)step.C);
        request.MiscMask = (MiscSelect)(step.A % 2);
        request.CetAttributesMask = (byte)(step.A % 3);
        request.KeyId.AsSpan().Fill((byte)step.A);
        if (step.Off == Off.Field) request.KeyName = (KeyName)(step.B % 8);
        if (step.Off == Off.Bit) Flip(Bytes.Writable(ref request), step.Noise);
        Write(page + RequestOffset, Bytes.Of(in request));
        RegisterFile registers = thread.Registers;
        registers.Rax = (ulong)EncluLeaf.EGETKEY;
        registers.Rbx = page + RequestOffset;
        registers.Rcx = DataPage(step, thread, step.C, SecInfoFlags.W, _ => true) + KeyOffset;
        Disturb(step, ref registers);
        Enclu(thread, ref registers);
    }

    private void Dynamic(Step step, Threads thread, ulong page)
    {
        ModelEnclave enclave = thread.Model.Enclave!;
        List<ModelEntry> waiting =
        [
            .. _model.Epcm.Values.Where(e => e.Enclave == enclave && e.IsChild && (e.Pending || ((step.Op != Op.AcceptCopy || step.B % 4 == 0) && (e.Modified || e.PermissionRestricted)))),
        ];
        ModelEntry? entry = Pick(waiting, step.C);
        SecInfo info = default;
        RegisterFile registers = thread.Registers;
        registers.Rcx = entry?.Address ?? enclave.Secs.BaseAddress + ((ulong)(step.C % 16) * PageSize);
        switch (step.Op)
        {
            case Op.Accept:
                registers.Rax = (ulong)EncluLeaf.EACCEPT;
                info.Flags = entry?.Flags ?? SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.W | SecInfoFlags.PENDING).Flags;
                break;

            case Op.ModPe:
                registers.Rax = (ulong)EncluLeaf.EMODPE;
                info = SecInfo.For(PageType.PT_REG, (SecInfoFlags)(step.A % 8));
                if (step.B % 4 != 0) registers.Rcx = DataPage(step, thread, step.C, 0, e => e.Address % EnclaveSize >= FirstFree * PageSize);
                break;

            default:
                registers.Rax = (ulong)EncluLeaf.EACCEPTCOPY;
                info = SecInfo.For(PageType.PT_REG, (SecInfoFlags)(step.A % 8 is 2 or 6 ? 1 : step.A % 8));
                registers.Rdx = DataPage(step, thread, step.A, SecInfoFlags.R, e => !e.Pending);
                break;
        }

        if (step.Off is Off.Field) Misconfigure(step, ref info);
        if (step.Off is Off.Bit) Flip(Bytes.Writable(ref info)[..2], step.Noise);
        Write(page + InfoOffset, Bytes.Of(in info));
        registers.Rbx = page + InfoOffset;
        Disturb(step, ref registers);
        Enclu(thread, ref registers);
    }

    private static void Disturb(Step step, ref RegisterFile registers)
    {
        ref ulong operand = ref registers.Rbx;
        if (step.C % 3 == 1) operand = ref registers.Rcx;
        if (step.C % 3 == 2) operand = ref registers.Rdx;
        if (step.Off == Off.Alignment) operand += 8;
        if (step.Off == Off.Outside) operand = FirstBase + ((ulong)(step.B % 40) * PageSize) - (4 * PageSize);
        if (step.Off == Off.Page) operand = (operand & 0xFFF) + (operand & ~0xFFFFUL) + ((ulong)(step.B % 16) * PageSize);
    }

    /// <summary>Enclave code: an SSA frame is ordinary memory, and what ERESUME reads there may be anything.</summary>
    private void Poke(Step step, Threads thread, ulong page)
    {
        const int Gpr = 4096 - GprSgx.Size;
        (int Offset, ulong Value) = (step.C % 10) switch
        {
            0 => (Gpr + 136, 0x8000_0000_0000UL),
            1 => (Gpr + 168, 0x8000_0000_0000UL),
            2 => (Gpr + 176, 0x8000_0000_0000UL),
            3 => (512, 0xFUL),
            4 => (520, 1UL),
            5 => (24, 0x1_0000UL),
            6 => (Gpr + 128, ~0UL),
            7 or 8 => (Gpr + 160, 1UL << 56),
            _ => (512, 2UL),
        };
        Span<byte> value = stackalloc byte[8];
        MemoryMarshal.Write(value, in Value);
        Write(page + (ulong)Offset, value);
        _listing.Append($"poke on {thread.Index} {page + (ulong)Offset:x} := {Value:x}\n");
    }

    /// <summary>Writes enclave memory on both sides, if the enclave could.</summary>
    private void Write(ulong address, ReadOnlySpan<byte> bytes)
    {
        if (!_space.TryTranslate(address, AccessKind.Write, out int page, out _)) return;
        if (_model.Epcm.GetValueOrDefault(page) is not { Type: PageType.PT_REG, Pending: false, Modified: false, Blocked: false } entry) return;
        if (entry.Address != (address & ~0xFFFUL) || !entry.Permissions.HasFlag(SecInfoFlags.W)) return;
        bytes.CopyTo(_frames.Frame(page)[(int)(address % PageSize)..]);
        bytes.CopyTo(_model.Contents[page].AsSpan((int)(address % PageSize)));
    }

    private void MapAnything(Step step)
    {
        ulong address = FirstBase + ((ulong)(step.A % 32) * PageSize);
        int page = step.B % (PageCount + 2) - 1;
        switch (step.C % 4)
        {
            case 0: _space.Unmap(address); break;
            case 1: _space.Map(address, page, writable: step.B % 3 != 0); break;
            default:
                foreach ((int found, ModelEntry entry) in _model.Epcm.Where(pair => pair.Value.IsChild))
                {
                    _space.Map(entry.Address, found, writable: step.C % 4 == 2 || entry.Address != address);
                }

                break;
        }

        _listing.Append($"map {address:x}, {step.C % 4}, {page}\n");
    }

    private PageFaultError? Translate(ulong address, bool write, out int? epcPage)
    {
        bool mapped = _space.TryTranslate(address, write ? AccessKind.Write : AccessKind.Read, out int page, out PageFaultError error);
        epcPage = page == LinearSpace.Ordinary ? null : page;
        return mapped ? null : error;
    }

    private static ModelRegisters Copy(in RegisterFile registers)
    {
        ModelRegisters copy = new();
        Values(in registers).CopyTo(copy.Values);
        return copy;
    }

    private void CompareRegisters(ModelRegisters expected, in RegisterFile actual)
    {
        ReadOnlySpan<ulong> values = Values(in actual);
        for (int i = 0; i < values.Length; i++)
        {
            if (values[i] != expected.Values[i]) Differ($"{(Register)i} is {values[i]:x}, expected {expected.Values[i]:x}");
        }
    }

    /// <summary>A register file is twenty numbers, in the order of <see cref="Register"/>.</summary>
    private static ReadOnlySpan<ulong> Values(in RegisterFile registers) =>
        MemoryMarshal.Cast<RegisterFile, ulong>(new ReadOnlySpan<RegisterFile>(in registers));
}
