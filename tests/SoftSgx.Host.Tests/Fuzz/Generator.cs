using SoftSgx.Host.Tests.Fuzz.Model;

namespace SoftSgx.Host.Tests.Fuzz;

/// <summary>
/// Makes sequences of calls from a seed: half of them build an enclave first, more or less well, and all go on with whatever comes.
/// </summary>
/// <remarks>It looks at the model's state for arguments that matter, so that calls get far; nothing else of the model is used.</remarks>
internal sealed class Generator
{
    private const int LongestSequence = 40;

    private readonly Random _random;
    private readonly InterfaceModel _model = new();
    private readonly List<Call> _calls = [];
    private readonly List<string> _expected = [];
    private bool _isAtEnd;

    private Generator(int seed) => _random = new Random(seed);

    /// <summary>The sequence of a seed, and what is to become of each of its calls.</summary>
    internal static (IReadOnlyList<Call> Calls, IReadOnlyList<string> Expected) Make(int seed)
    {
        Generator generator = new(seed);
        if (generator.Chance(70))
        {
            generator.Build((ulong)generator.Below(3));
        }
        int length = generator._calls.Count + generator.Below(LongestSequence);
        while (!generator._isAtEnd && generator._calls.Count < length)
        {
            generator.Any();
        }
        while (generator._model.IsForked)
        {
            generator.Emit("exit");
        }
        return (generator._calls, generator._expected);
    }

    /// <summary>What the model says to any sequence; shorter than the sequence where it cannot tell.</summary>
    internal static IReadOnlyList<string> Expect(IReadOnlyList<Call> calls)
    {
        InterfaceModel model = new();
        List<string> expected = [];
        foreach (Call call in calls)
        {
            if (model.Predict(call) is not string outcome)
            {
                break;
            }
            expected.Add(outcome);
        }
        return expected;
    }

    /// <summary>The sequence with every SIGSTRUCT made anew: calls before it may be gone.</summary>
    internal static IReadOnlyList<Call> Resign(IReadOnlyList<Call> calls)
    {
        InterfaceModel model = new();
        List<Call> signed = [];
        foreach (Call call in calls)
        {
            EnclaveState? enclave = call.Name == "sig" ? model.Process.Slots[call[0]]?.Enclave : null;
            Call anew = enclave is { IsCreated: true } ? call with { Bytes = Signatures.Make(enclave, (Flaw)call[1]) } : call;
            signed.Add(anew);
            if (model.Predict(anew) is null)
            {
                break;
            }
        }
        return signed;
    }

    private void Emit(string name, params ulong[] arguments) => Emit(new Call(name, arguments));

    private void Emit(Call call)
    {
        if (_isAtEnd)
        {
            if (call.Name == "exit")
            {
                _model.Predict(call);
                _calls.Add(call);
                _expected.Add("0");
            }
            return;
        }
        if (_model.Predict(call) is not string outcome)
        {
            _isAtEnd = true;
            return;
        }
        _calls.Add(call);
        _expected.Add(outcome);
    }

    private int Below(int bound) => _random.Next(bound);

    private bool Chance(int percent) => _random.Next(100) < percent;

    private ulong Pick(params ReadOnlySpan<ulong> values) => values[_random.Next(values.Length)];

    private ulong Slot()
    {
        // One that is open, mostly.
        for (int i = 0; i < 8; i++)
        {
            ulong slot = (ulong)Below(Layout.Slots);
            if (_model.Process.Slots[slot]?.Enclave is not null)
            {
                return slot;
            }
        }
        return (ulong)Below(Layout.Slots);
    }

    private EnclaveState? EnclaveOf(ulong slot) => _model.Process.Slots[slot]?.Enclave;

    private ulong How() => Chance(4) ? (ulong)(1 + Below(2)) : 0;

    private void Build(ulong slot)
    {
        Emit("open", slot, Chance(20) ? (ulong)DevicePath.EnclaveV22 : 0, 2);
        bool isOld = EnclaveOf(slot)?.IsV22 == true && Chance(60);
        if (Chance(15))
        {
            MapSome(slot);
        }
        Create(slot);
        if (Chance(10))
        {
            ulong provision = (slot + 1) % Layout.Slots;
            Emit("open", provision, (ulong)DevicePath.Provision, 2);
            Emit("provision", slot, provision);
        }
        if (Chance(10))
        {
            MapSome(slot);
        }
        (ulong Page, Source Source, ulong SecInfo)[] pages =
            [(Layout.CodePage, Source.Code, 0x205), (Layout.SsaPage, Source.SecInfos, 0x203), (Layout.TcsPage, Source.Tcs, 0x100), (Layout.SecInfoPage, Source.SecInfos, 0x203)];
        foreach ((ulong page, Source source, ulong secInfo) in pages)
        {
            if (Chance(3))
            {
                AddSome(slot);
            }
            else if (Chance(97))
            {
                AddPages(slot, isOld, page, 1, source, Chance(95) ? secInfo : SecInfo());
            }
        }
        for (int i = Below(4); i > 0; i--)
        {
            AddSome(slot);
        }
        if (Chance(10))
        {
            Emit("fork");
        }
        if (Chance(20))
        {
            MapSome(slot);
        }
        Init(slot);
        if (EnclaveOf(slot) is { IsCreated: true } enclave)
        {
            MapWell(slot, enclave);
            if (Chance(80))
            {
                Emit("enter", 2, enclave.Base + (Layout.TcsPage * Layout.Page), 0, 0x42);
            }
        }
    }

    /// <summary>Every page as it may be.</summary>
    private void MapWell(ulong slot, EnclaveState enclave)
    {
        ulong pages = enclave.Size / Layout.Page;
        for (ulong page = 0; page < pages;)
        {
            ulong maximum = MaximumOf(enclave, page), end = page + 1;
            while (end < pages && MaximumOf(enclave, end) == maximum)
            {
                end++;
            }
            Emit("mmap", slot, enclave.Base + (page * Layout.Page), (end - page) * Layout.Page, Prot(maximum), 0x11, 0);
            page = end;
        }
    }

    private static ulong MaximumOf(EnclaveState enclave, ulong page)
        => enclave.Pages.TryGetValue(page, out PageState? state) ? state.Maximum : enclave.UsedAddPage ? 0ul : 7;

    /// <summary>What can be written or executed can be read on x86, unless protection keys prevent it: such mappings ask for it.</summary>
    private static ulong Prot(ulong protection) => protection == 0 ? 0 : protection | 1;

    private ulong AnyProt() => Prot((ulong)Below(8));

    private void Create(ulong slot)
    {
        ulong size = Pick(0x10000, 0x10000, 0x20000, 0x40000, 0x8000, 0x4000);
        ulong start = Layout.Arena + ((ulong)Below((int)(Layout.ArenaPages * Layout.Page / size)) * size);
        ulong attributes = Pick(4, 4, 4, 6, 0x14, 0x404), xfrm = Pick(3, 3, 7), misc = Pick(0, 0, 1), ssa = 1;
        if (Chance(12))
        {
            switch (Below(6))
            {
                case 0:
                    size = Pick(0, 0x1000, 0x3000, 0x2001, 0x18000);
                    break;
                case 1:
                    start += Layout.Page;
                    break;
                case 2:
                    attributes = Pick(5, 0x24, 12, 0x8000000000000004);
                    break;
                case 3:
                    xfrm = Pick(0, 1, 2, 0x4000000000000003);
                    break;
                case 4:
                    misc = Pick(2, 0x80000000);
                    break;
                default:
                    ssa = 0;
                    break;
            }
        }
        Emit("create", slot, How(), size, start, attributes, xfrm, misc, ssa);
    }

    private ulong SecInfo() => Chance(85)
        ? Pick(0x201, 0x203, 0x205, 0x207, 0x203, 0x207, 0x200, 0x204, 0x100)
        : Pick(0x202, 0x206, 0x101, 0x103, 0, 0x300, 0x400, 0x20b, 0x213, 0x1000203, 0x80000203);

    private void AddPages(ulong slot, bool isOld, ulong page, ulong count, Source source, ulong secInfo)
    {
        if (secInfo == 0x100 && source == Source.Code)
        {
            source = Source.Junk; // EADD looks at no more of a TCS than its reserved bytes, of which the code has none
        }
        if (isOld && EnclaveOf(slot) is EnclaveState enclave)
        {
            for (ulong i = 0; i < Math.Min(count, 4); i++)
            {
                Emit("addpage", slot, How(), enclave.Base + ((page + i) * Layout.Page), (ulong)source, secInfo, Pick(0, 0xffff, 0x8001));
            }
        }
        else
        {
            Emit("add", slot, How(), page * Layout.Page, count * Layout.Page, (ulong)source, secInfo, (ulong)Below(2));
        }
    }

    private void AddSome(ulong slot)
    {
        ulong size = EnclaveOf(slot) is { IsCreated: true } enclave ? enclave.Size / Layout.Page : 16;
        ulong page = (ulong)Below((int)size + (Chance(3) ? 2 : 0)), count = (ulong)(1 + Below(Chance(30) ? 30 : 4));
        ulong secInfo = SecInfo();
        Source source = secInfo == 0x100 ? Source.Tcs : page == 0 ? Source.Code : Chance(80) ? Source.SecInfos : (Source)Below(8);
        if (page + count > size && Chance(95))
        {
            count = Math.Max(1, size - Math.Min(size, page));
        }
        if (Chance(3))
        {
            Emit("add", slot, How(), (page * Layout.Page) + Pick(0, 1, 0x800), Pick(0, 1, 0x1001, ulong.MaxValue - 0xfff, 0x1000), (ulong)source, secInfo, 0);
            return;
        }
        AddPages(slot, (EnclaveOf(slot) is { IsV22: true } && Chance(50)) || Chance(1), page, count, source, secInfo);
    }

    private void Init(ulong slot)
    {
        if (EnclaveOf(slot) is { IsCreated: true, IsInitialized: false } enclave)
        {
            Flaw flaw = Chance(88) ? Flaw.None : (Flaw)(1 + Below(7));
            Emit(new Call("sig", slot, (ulong)flaw) { Bytes = Signatures.Make(enclave, flaw) });
        }
        else if (!_calls.Exists(static call => call.Name == "sig"))
        {
            return; // there is nothing to show yet
        }
        Emit("init", slot, How());
    }

    private (ulong Address, ulong Length) Range(ulong slot)
    {
        ulong start = Layout.Arena, pages = Layout.ArenaPages;
        if (EnclaveOf(slot) is { IsCreated: true } enclave && Chance(90))
        {
            (start, pages) = (enclave.Base, enclave.Size / Layout.Page);
        }
        ulong first = (ulong)Below((int)pages), count = 1 + (ulong)Below((int)Math.Min(pages - first, Chance(70) ? 3ul : 64));
        return (start + (first * Layout.Page) + (Chance(1) ? 1ul : 0), (count * Layout.Page) - (Chance(3) ? Pick(1, 0x1000, 0x800) : 0));
    }

    private void MapSome(ulong slot)
    {
        (ulong address, ulong length) = Range(slot);
        ulong flags = Chance(90) ? 0x11 : Pick(0x01, 0x12, 0x13, 0x100001, 0x02, 0x10, 0x100001, 0x100011);
        address &= (flags & 0x10) == 0 ? ~(Layout.Page - 1) : ~0ul;
        Emit("mmap", slot, address, length, AnyProt(), flags, Chance(90) ? 0 : Pick(0x5000, 0x1000, 1));
    }

    private ulong Address(ulong slot, bool isPage)
    {
        if (EnclaveOf(slot) is { IsCreated: true } enclave && Chance(95))
        {
            ulong page = Chance(30) && enclave.Pages.Count > 0 ? enclave.Pages.Keys.ElementAt(Below(enclave.Pages.Count)) : (ulong)Below((int)(enclave.Size / Layout.Page));
            return enclave.Base + (page * Layout.Page);
        }
        return isPage || Chance(90) ? Layout.Arena + ((ulong)Below((int)Layout.ArenaPages) * Layout.Page) : Layout.Nothing;
    }

    private void EnterSome(ulong slot)
    {
        if (EnclaveOf(slot) is not { IsCreated: true } enclave)
        {
            Emit("enter", 2, Layout.Nothing);
            return;
        }
        PageState? thread = enclave.PageAt(enclave.Base + (Layout.TcsPage * Layout.Page));
        ulong tcs = Chance(92) ? enclave.Base + (Layout.TcsPage * Layout.Page) : Address(slot, isPage: true) + (Chance(5) ? 8ul : 0);
        ulong leaf = Chance(2) ? (ulong)Below(8) : thread is { IsInterrupted: true } && Chance(enclave.Saved!.Process == _model.Process ? 80 : 10) ? 3ul : 2;
        ulong operation = (ulong)Below(4), first = Address(slot, isPage: true), second = 0, enclu = 0;
        if (operation == 0)
        {
            first = 0x42;
        }
        if (operation == 3)
        {
            first = Chance(95) ? enclave.Base + (Layout.SecInfoPage * Layout.Page) : Address(slot, isPage: true);
            second = Address(slot, isPage: true);
            enclu = Chance(75) ? 5ul : 6;
            first += 64 * (enclu == 6 ? 9 + (ulong)Below(5) : Chance(70) ? Right(enclave.PageAt(second)) : (ulong)Below(16));
            first += Chance(2) ? 8ul : 0;
            second += Chance(2) ? 8ul : 0;
        }
        Emit("enter", leaf, tcs, operation, first, second, enclu);
    }

    /// <summary>The SECINFO with which the enclave accepts what was done to a page.</summary>
    private static ulong Right(PageState? page)
    {
        ulong flags = page is null ? 0x20b
            : ((ulong)page.Kind << 8) | page.Permissions | (page.Pending ? 8ul : 0) | (page.Modified ? 0x10ul : 0)
                | (page.IsAccessible ? 0x20ul : 0);
        return (ulong)Math.Max(0, Layout.SecInfos.IndexOf(flags));
    }

    private void ChangeSome(ulong slot)
    {
        ulong size = EnclaveOf(slot) is { IsCreated: true } enclave ? enclave.Size / Layout.Page : 16;
        ulong page = Chance(85) ? (ulong)Below((int)size) : Pick(0, 1, 2, 3), count = Chance(70) ? 1 : (ulong)(1 + Below(6));
        ulong offset = (page * Layout.Page) + (Chance(1) ? 1ul : 0), length = Chance(97) ? count * Layout.Page : Pick(0, 1, 0x1001, 0x1000000);
        switch (Below(3))
        {
            case 0:
                Emit("restrict", slot, Chance(3) ? 1ul : 0, offset, length, Chance(95) ? Pick(1, 3, 5, 7, 0, 4) : Pick(2, 8, 6, 0x100), Chance(1) ? 1ul : 0, Chance(1) ? 1ul : 0);
                break;
            case 1:
                Emit("modify", slot, Chance(3) ? 1ul : 0, offset, length, Chance(95) ? Pick(4, 4, 4, 1) : Pick(0, 2, 3, 5, 0x104), Chance(1) ? 1ul : 0, Chance(1) ? 1ul : 0);
                break;
            default:
                Emit("remove", slot, Chance(3) ? 1ul : 0, offset, length, Chance(1) ? 1ul : 0);
                break;
        }
    }

    /// <summary>The whole life of one page that comes or goes while the enclave runs.</summary>
    private void Trim(ulong slot)
    {
        if (EnclaveOf(slot) is not { IsInitialized: true } enclave)
        {
            return;
        }
        ulong page = Address(slot, isPage: true), tcs = enclave.Base + (Layout.TcsPage * Layout.Page);
        ulong infos = enclave.Base + (Layout.SecInfoPage * Layout.Page);
        if (page - enclave.Base >= enclave.Size || page - enclave.Base < 4 * Layout.Page)
        {
            return;
        }
        if (enclave.PageAt(page) is null)
        {
            Emit("enter", 2, tcs, 3, infos, page, 5);
        }
        Emit("modify", slot, 0, page - enclave.Base, Layout.Page, 4, 0, 0);
        if (Chance(90))
        {
            Emit("enter", 2, tcs, 3, infos + (64 * Right(enclave.PageAt(page))), page, 5);
        }
        if (Chance(90))
        {
            Emit("remove", slot, 0, page - enclave.Base, Layout.Page, 0);
        }
    }

    private void Any()
    {
        ulong slot = Slot();
        int choice = Below(100);
        switch (choice)
        {
            case < 3:
                Emit("open", (ulong)Below(Layout.Slots), (ulong)Below(6), Chance(90) ? 2ul : Pick(0x10002, 0xc2, 0x200000, 0x80002));
                break;
            case < 5:
                Emit("close", (ulong)Below(Layout.Slots));
                break;
            case < 6:
                Emit("dup", slot, (ulong)Below(Layout.Slots));
                break;
            case < 9:
                Create(slot);
                break;
            case < 15:
                AddSome(slot);
                break;
            case < 18:
                Init(slot);
                break;
            case < 19:
                Emit("provision", slot, (ulong)Below(Layout.Slots));
                break;
            case < 20:
                Emit("ioctl", slot, Pick(0x4008A404, 0xC030A402, 0xA400, 0x4020A402, 0xC018A408, 0x4008A40F));
                break;
            case < 32:
                ChangeSome(slot);
                break;
            case < 38:
                Trim(slot);
                break;
            case < 47:
                MapSome(slot);
                break;
            case < 51:
                (ulong address, ulong length) = Range(slot);
                Emit("munmap", address, length);
                break;
            case < 58:
                (address, length) = Range(slot);
                Emit("mprotect", address, length, AnyProt());
                break;
            case < 72:
                Emit(Chance(50) ? "read" : "write", Address(slot, isPage: false));
                break;
            case < 97:
                EnterSome(slot);
                break;
            case < 98 when EnclaveOf(slot) is null && Chance(50):
                Build(slot);
                break;
            case < 99 when !_model.IsForked:
                Emit("fork");
                break;
            default:
                if (_model.IsForked)
                {
                    Emit("exit");
                }
                break;
        }
    }
}
