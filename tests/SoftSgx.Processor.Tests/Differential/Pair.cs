using System.Runtime.InteropServices;
using System.Text;
using SoftSgx.Architecture;
using SoftSgx.Processor.Model;

namespace SoftSgx.Processor.Tests.Differential;

/// <summary>A processor and a model that get the same leaves; throws at the first difference, with a listing of what ran.</summary>
internal sealed partial class Pair
{
    private const int PageCount = 28;
    private const int LogicalCount = 3;
    private const ulong PageSize = 4096;
    private const ulong FirstBase = 0x7000_0000;
    private const ulong EnclaveSize = 0x10000;
    private const int XsaveLength = 1024;

    private readonly Dictionary<string, int> _outcomes;
    private readonly StringBuilder _listing = new();
    private readonly ArrayFrames _frames = new(PageCount);
    private readonly SgxProcessor _processor;
    private readonly ModelProcessor _model;
    private readonly Threads[] _threads = new Threads[LogicalCount];
    private readonly LinearSpace _space = new();
    private readonly List<Evicted> _evicted = [];

    public Pair(Dictionary<string, int> outcomes, bool everything)
    {
        _outcomes = outcomes;
        PlatformSecrets secrets = PlatformSecrets.FromSeed("the differential tests"u8);
        ProcessorConfiguration configuration = new() { Sgx2 = everything, AexNotify = everything, EDecCssa = everything, Oversub = everything };
        _processor = new SgxProcessor(configuration, secrets, PageCount, _frames);
        _model = new ModelProcessor(new ModelConfiguration
        {
            Pages = PageCount,
            Sgx2 = everything,
            Oversub = everything,
            EDecCssa = everything,
            Attributes = AttributeFlags.DEBUG | AttributeFlags.MODE64BIT | AttributeFlags.PROVISIONKEY | AttributeFlags.EINITTOKEN_KEY
                | AttributeFlags.KSS | (everything ? AttributeFlags.AEXNOTIFY : 0),
            Xfrm = 7,
            Misc = MiscSelect.EXINFO,
            SizeLog2 = (40, 31),
            MxcsrMask = 0xFFFF,
            XsaveComponents = [(2, 576, 256)],
            CpuSvn = secrets.CpuSvn.ToArray(),
            OwnerEpoch = secrets.OwnerEpoch.ToArray(),
            SealFuses = secrets.RootSealKey.ToArray(),
            ReportKeyId = secrets.ReportKeyId.ToArray(),
            RootKey = secrets.RootProvisioningKey.ToArray(),
        });
        for (int i = 0; i < LogicalCount; i++)
        {
            _threads[i] = new Threads(i);
            _model.LogicalProcessors.Add(_threads[i].Model);
        }
    }

    /// <summary>Counted when ERESUME delivers an AEX notification.</summary>
    public const string Notified = "ERESUME (notification)";

    /// <summary>The leaves that programs are expected to bring to success.</summary>
    public static IEnumerable<string> Leaves =>
        Enum.GetNames<EnclsLeaf>().Except(["EUPDATESVN"]).Concat(Enum.GetNames<EncluLeaf>().Except(["EVERIFYREPORT2"]));

    public void Run(LeafProgram program)
    {
        foreach (Step step in program.Steps)
        {
            Execute(step);
        }

        Concurrency.EpcmInvariants.Check(_processor, [.. _threads.Select(thread => thread.Real)]);
    }

    /// <summary>One logical processor on both sides.</summary>
    private sealed class Threads
    {
        public Threads(int index)
        {
            Index = index;
            Real.LePubKeyHash = TestSigner.First.MrSigner;
            ModelXsave = [.. Xsave];
        }

        public int Index { get; }

        public LogicalProcessor Real { get; } = new();

        public ModelLogicalProcessor Model { get; } = new() { LePubKeyHash = TestSigner.First.MrSigner };

        public RegisterFile Registers;

        public byte[] Xsave { get; } = NewXsave();

        public byte[] ModelXsave { get; }

        private static byte[] NewXsave()
        {
            byte[] image = new byte[XsaveLength];
            image[24] = 0x80;
            image[25] = 0x1F;
            return image;
        }
    }

    /// <summary>A page that EWB wrote, in both representations.</summary>
    private sealed record Evicted(byte[] Ciphertext, Pcmd Pcmd, SealedPage Sealed);

    /// <summary>Compares outcomes and all visible state.</summary>
    private Outcome Expect(string leaf, string operands, Outcome expected, LeafResult actual)
    {
        _listing.Append(leaf).Append(' ').Append(operands).Append(" → ").Append(expected).Append('\n');
        string key = $"{leaf}: {(expected.Fault is { } fault ? $"#{fault.Kind}" : expected.Error.ToString())}";
        Count(key);

        Outcome got = new(actual.Error, actual.Status == LeafStatus.Fault ? actual.Fault : null, actual.Carry);
        if (got != expected) Differ($"the processor says {got}");
        Compare();
        return expected;
    }

    private void Count(string outcome) => _outcomes[outcome] = _outcomes.GetValueOrDefault(outcome) + 1;

    private void Compare()
    {
        Epcm epcm = _processor.Epcm;
        for (int page = 0; page < PageCount; page++)
        {
            ModelEntry? entry = _model.Epcm.GetValueOrDefault(page);
            Same($"VALID of page {page}", entry is not null, epcm.IsValid(page));
            if (entry is null) continue;

            Same($"PT of page {page}", entry.Type, epcm.TypeOf(page));
            Same($"RWX of page {page}", entry.Permissions, epcm.Permissions(page));
            Same($"BLOCKED of page {page}", entry.Blocked, epcm.IsBlocked(page));
            Same($"PENDING of page {page}", entry.Pending, epcm.IsPending(page));
            Same($"MODIFIED of page {page}", entry.Modified, epcm.IsModified(page));
            Same($"PR of page {page}", entry.PermissionRestricted, epcm.IsPermissionRestricted(page));
            if (entry.IsChild)
            {
                Same($"ENCLAVEADDRESS of page {page}", entry.Address, epcm.EnclaveAddress(page));
                Same($"ENCLAVESECS of page {page}", entry.Enclave!.SecsPage!.Value, epcm.EnclaveSecs(page));
            }

            CompareContents(page, entry);
        }

        foreach (Threads thread in _threads)
        {
            CompareThread(thread);
        }
    }

    private void CompareContents(int page, ModelEntry entry)
    {
        const int ArchitecturalSecs = 262;
        ReadOnlySpan<byte> frame = _frames.Frame(page);
        switch (entry.Type)
        {
            case PageType.PT_SECS:
                ReadOnlySpan<byte> secs = Bytes.Of(in entry.Enclave!.Secs)[..ArchitecturalSecs];
                if (!frame[..ArchitecturalSecs].SequenceEqual(secs)) Differ($"SECS in page {page}{FirstDifference(secs, frame)}");
                break;

            case PageType.PT_VA:
                ReadOnlySpan<ulong> real = MemoryMarshal.Cast<byte, ulong>(frame);
                ReadOnlySpan<ulong> model = MemoryMarshal.Cast<byte, ulong>(_model.Contents[page].AsSpan());
                for (int slot = 0; slot < real.Length; slot++)
                {
                    if (real[slot] != 0 != (model[slot] != 0)) Differ($"slot {slot} of version array {page}");
                }

                break;

            default:
                if (!frame.SequenceEqual(_model.Contents[page])) Differ($"contents of page {page}{FirstDifference(_model.Contents[page], frame)}");
                break;
        }
    }

    private void CompareThread(Threads thread)
    {
        LogicalProcessor real = thread.Real;
        ModelLogicalProcessor model = thread.Model;
        string name = $"of logical processor {thread.Index}";
        Same($"enclave mode {name}", model.Enclave is not null, real.InEnclave);
        if (!thread.Xsave.AsSpan().SequenceEqual(thread.ModelXsave)) Differ($"XSAVE image {name}{FirstDifference(thread.ModelXsave, thread.Xsave)}");
        if (model.Enclave is null) return;

        Same($"CR_ACTIVE_SECS {name}", model.Enclave.SecsPage!.Value, real.ActiveSecs);
        Same($"CR_ELRANGE {name}", (model.Enclave.Secs.BaseAddress, model.Enclave.Secs.EnclaveSize), (real.EnclaveBase, real.EnclaveSize));
        Same($"CR_TCS_PA {name}", model.TcsPage, real.ActiveTcs);
        Same($"CR_TCS_LA {name}", model.TcsAddress, real.TcsAddress);
        Same($"CR_GPR_PA {name}", model.GprPage, real.GprPage);
        if (!real.XsavePages.SequenceEqual(model.XsavePages.ToArray())) Differ($"CR_XSAVE_PAGE_n {name}");
        Same($"CR_DBGOPTIN {name}", model.DebugOptIn, real.DebugOptIn);
        Same($"CR_SAVE_FS {name}", model.SavedFsBase, real.SavedFsBase);
        Same($"CR_SAVE_GS {name}", model.SavedGsBase, real.SavedGsBase);
        if (!model.DebugOptIn) Same($"CR_SAVE_TF {name}", model.SavedTrapFlag, real.SavedTrapFlag);
    }

    private void Same<T>(string what, T expected, T actual)
    {
        if (!EqualityComparer<T>.Default.Equals(expected, actual)) Differ($"{what} is {actual}, expected {expected}");
    }

    private void Differ(string what) => throw new InvalidOperationException($"{what}, after\n{_listing}");

    private static string FirstDifference(ReadOnlySpan<byte> expected, ReadOnlySpan<byte> actual)
    {
        int at = expected.CommonPrefixLength(actual);
        return $" at offset {at}: {actual[at]:x2}, expected {expected[at]:x2}";
    }
}
