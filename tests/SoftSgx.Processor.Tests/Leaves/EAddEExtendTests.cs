using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>EADD and EEXTEND: what they make, what they refuse, and whom they exclude.</summary>
public class EAddEExtendTests
{
    private static readonly LeafResult s_gp = LeafResult.FromFault(Fault.GeneralProtection());

    [Fact]
    public void A_page_gets_contents_permissions_address_and_owner()
    {
        TestPlatform platform = new();
        Secs secs = TestPlatform.DefaultSecs();
        int secsPage = platform.Create(in secs);
        byte[] contents = new byte[4096];
        new Random(7).NextBytes(contents);
        int page = platform.Add(secsPage, 0x3000, contents, SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.X));

        Epcm epcm = platform.Processor.Epcm;
        Assert.Equal(PageType.PT_REG, epcm.TypeOf(page));
        Assert.Equal(SecInfoFlags.R | SecInfoFlags.X, epcm.Permissions(page));
        Assert.Equal(TestPlatform.Base + 0x3000, epcm.EnclaveAddress(page));
        Assert.Equal(secsPage, epcm.EnclaveSecs(page));
        Assert.False(epcm.IsPending(page) || epcm.IsModified(page) || epcm.IsBlocked(page) || epcm.IsPermissionRestricted(page));
        Assert.Equal(contents, platform.Frames.Frame(page).ToArray());
    }

    public static TheoryData<string> BadAdds => ["beyond", "below", "write only", "write and execute only", "type secs", "type va", "pending", "high flag", "reserved byte", "unaligned", "tcs reserved", "tcs cet", "tcs ssp"];

    [Theory]
    [MemberData(nameof(BadAdds))]
    public void A_bad_page_is_a_general_protection_fault(string what)
    {
        TestPlatform platform = new();
        Secs secs = TestPlatform.DefaultSecs();
        int secsPage = platform.Create(in secs);
        SecInfo info = TestPlatform.RegInfo;
        ulong address = TestPlatform.Base + 0x1000;
        byte[] contents = new byte[4096];
        switch (what)
        {
            case "beyond": address = TestPlatform.Base + TestPlatform.Size; break;
            case "below": address = TestPlatform.Base - 0x1000; break;
            case "write only": info = SecInfo.For(PageType.PT_REG, SecInfoFlags.W); break;
            case "write and execute only": info = SecInfo.For(PageType.PT_REG, SecInfoFlags.W | SecInfoFlags.X); break;
            case "type secs": info = SecInfo.For(PageType.PT_SECS, SecInfoFlags.None); break;
            case "type va": info = SecInfo.For(PageType.PT_VA, SecInfoFlags.None); break;
            case "pending": info.Flags |= SecInfoFlags.PENDING; break;
            case "high flag": info.Flags |= (SecInfoFlags)(1UL << 16); break;
            case "reserved byte": info.Reserved[55] = 1; break;
            case "unaligned": address += 0x100; break;
            case "tcs reserved": info = TestPlatform.TcsInfo; contents[4095] = 1; break;
            case "tcs cet": info = TestPlatform.TcsInfo; contents[72] = 1; break;
            case "tcs ssp": info = TestPlatform.TcsInfo; contents[80] = 1; break;
        }

        Assert.Equal(s_gp, platform.Add(secsPage, address, contents, info, 9));
        Assert.False(platform.Processor.Epcm.IsValid(9));
        Assert.Equal(LeafResult.Ok, platform.Add(secsPage, TestPlatform.Base + 0x1000, new byte[4096], TestPlatform.RegInfo, 9));
    }

    [Fact]
    public void The_last_page_of_the_range_can_be_added()
    {
        TestPlatform platform = new();
        Secs secs = TestPlatform.DefaultSecs();
        int secsPage = platform.Create(in secs);

        platform.Add(secsPage, TestPlatform.Size - 4096, new byte[4096], TestPlatform.RegInfo);
    }

    [Fact]
    public void Limits_of_a_tcs_outside_64_bit_mode_end_on_a_page()
    {
        TestPlatform platform = new();
        Secs secs = TestPlatform.DefaultSecs(AttributeFlags.None);
        int secsPage = platform.Create(in secs);
        Tcs tcs = new() { FsLimit = 0x1FFF, GsLimit = 0x1FFE };

        Assert.Equal(s_gp, platform.Add(secsPage, TestPlatform.Base, Bytes.Of(in tcs), TestPlatform.TcsInfo, 9));
        tcs.GsLimit = 0xFFF;
        Assert.Equal(LeafResult.Ok, platform.Add(secsPage, TestPlatform.Base, Bytes.Of(in tcs), TestPlatform.TcsInfo, 9));
    }

    [Fact]
    public void Checks_of_eadd_come_in_the_manuals_order()
    {
        TestPlatform platform = new();
        Secs secs = TestPlatform.DefaultSecs();
        int secsPage = platform.Create(in secs);
        int used = platform.Add(secsPage, 0, new byte[4096], TestPlatform.RegInfo);
        SecInfo bad = SecInfo.For(PageType.PT_VA, SecInfoFlags.None);
        SecInfo writeOnly = SecInfo.For(PageType.PT_REG, SecInfoFlags.W);
        byte[] contents = new byte[4096];

        Assert.Equal(ExceptionVector.PF, platform.Add(999, 1, contents, bad, 999).Fault.Kind);
        Assert.Equal(ExceptionVector.GP, platform.Add(999, 1, contents, bad, used).Fault.Kind);
        Assert.Equal(ExceptionVector.PF, platform.Add(999, 0, contents, bad, used).Fault.Kind);
        Assert.Equal(ExceptionVector.GP, platform.Add(used, 0, contents, bad, used).Fault.Kind);
        Assert.Equal(ExceptionVector.PF, platform.Add(used, 0, contents, writeOnly, used).Fault.Kind);
        Assert.Equal(ExceptionVector.PF, platform.Add(used, 0, contents, writeOnly, 9).Fault.Kind);
        Assert.Equal(ExceptionVector.PF, platform.Add(200, 0, contents, writeOnly, 9).Fault.Kind);
        Assert.Equal(ExceptionVector.GP, platform.Add(secsPage, 0, contents, writeOnly, 9).Fault.Kind);
        Assert.Equal(ExceptionVector.GP, platform.Add(secsPage, 0, contents, TestPlatform.RegInfo, 9).Fault.Kind);
    }

    [Fact]
    public void Checks_of_eextend_come_in_the_manuals_order()
    {
        TestPlatform platform = new();
        Secs secs = TestPlatform.DefaultSecs();
        int secsPage = platform.Create(in secs);
        secs.BaseAddress += TestPlatform.Size;
        int other = platform.Create(in secs);
        int page = platform.Add(secsPage, 0, new byte[4096], TestPlatform.RegInfo);

        Assert.Equal(ExceptionVector.PF, EExtend.Execute(platform.Processor, 999, 999, 1).Fault.Kind);
        Assert.Equal(ExceptionVector.GP, EExtend.Execute(platform.Processor, secsPage, 999, 1).Fault.Kind);
        Assert.Equal(ExceptionVector.GP, EExtend.Execute(platform.Processor, secsPage, page, 4096).Fault.Kind);
        Assert.Equal(ExceptionVector.GP, EExtend.Execute(platform.Processor, secsPage, page, -256).Fault.Kind);
        Assert.Equal(ExceptionVector.PF, EExtend.Execute(platform.Processor, secsPage, 999, 0).Fault.Kind);
        Assert.Equal(ExceptionVector.PF, EExtend.Execute(platform.Processor, other, 200, 0).Fault.Kind);
        Assert.Equal(ExceptionVector.PF, EExtend.Execute(platform.Processor, other, secsPage, 0).Fault.Kind);
        Assert.Equal(ExceptionVector.GP, EExtend.Execute(platform.Processor, other, page, 0).Fault.Kind);
        Assert.Equal(LeafResult.Ok, EExtend.Execute(platform.Processor, secsPage, page, 3840));
    }

    [Fact]
    public void An_initialised_enclave_is_closed()
    {
        TestPlatform platform = new();
        TestEnclave enclave = TestEnclave.Initialized(platform);
        SigStruct sig = enclave.Signed();

        Assert.Equal(s_gp, platform.Add(enclave.SecsPage, TestPlatform.Base + 0x8_0000, new byte[4096], TestPlatform.RegInfo, 99));
        Assert.Equal(s_gp, EExtend.Execute(platform.Processor, enclave.SecsPage, enclave.DataPage, 0));
        Assert.Equal(s_gp, platform.Init(enclave.Logical, enclave.SecsPage, in sig));
    }

    [Fact]
    public void Leaves_conflict_where_the_manual_says()
    {
        TestPlatform platform = new();
        Secs secs = TestPlatform.DefaultSecs();
        int secsPage = platform.Create(in secs);
        int page = platform.Add(secsPage, 0, new byte[4096], TestPlatform.RegInfo);
        SigStruct sig = TestSigner.Template(default, secs.Attributes);
        TestSigner.First.Sign(ref sig);
        Dictionary<string, LeafResult> seen = [];

        // In the middle of EADD: its page is taken exclusively, the SECS is shared.
        platform.Frames.OnAccess = accessed =>
        {
            if (accessed == 50)
            {
                platform.Frames.OnAccess = null;
                seen["add, same page"] = platform.Add(secsPage, TestPlatform.Base, new byte[4096], TestPlatform.RegInfo, 50);
                seen["add, other page"] = platform.Add(secsPage, TestPlatform.Base + 0x1000, new byte[4096], TestPlatform.RegInfo, 51);
                seen["extend, same page"] = EExtend.Execute(platform.Processor, secsPage, 50, 0);
                seen["remove, same page"] = ERemove.Execute(platform.Processor, 50);
                seen["remove, secs"] = ERemove.Execute(platform.Processor, secsPage);
            }
        };
        Assert.Equal(LeafResult.Ok, platform.Add(secsPage, TestPlatform.Base + 0x2000, new byte[4096], TestPlatform.RegInfo, 50));
        Assert.Equal(s_gp, seen["add, same page"]);
        Assert.Equal(LeafResult.Ok, seen["add, other page"]);
        Assert.Equal(s_gp, seen["extend, same page"]);
        Assert.Equal(s_gp, seen["remove, same page"]);
        Assert.Equal(s_gp, seen["remove, secs"]);

        // In the middle of EEXTEND: the measurement is taken.
        platform.Frames.OnAccess = accessed =>
        {
            if (accessed == page)
            {
                platform.Frames.OnAccess = null;
                seen["add"] = platform.Add(secsPage, TestPlatform.Base + 0x3000, new byte[4096], TestPlatform.RegInfo, 52);
                seen["extend"] = EExtend.Execute(platform.Processor, secsPage, 50, 0);
                seen["init"] = platform.Init(new LogicalProcessor(), secsPage, in sig);
                seen["remove"] = ERemove.Execute(platform.Processor, page);
            }
        };
        Assert.Equal(LeafResult.Ok, EExtend.Execute(platform.Processor, secsPage, page, 0));
        Assert.Equal(s_gp, seen["add"]);
        Assert.Equal(s_gp, seen["extend"]);
        Assert.Equal(s_gp, seen["init"]);
        Assert.Equal(s_gp, seen["remove"]);

        // Nothing of that left a lock behind.
        Assert.Equal(LeafResult.Ok, EExtend.Execute(platform.Processor, secsPage, page, 256));
        Assert.Equal(LeafResult.Ok, ERemove.Execute(platform.Processor, page));
    }

    [Fact]
    public void Building_allocates_nothing_per_page()
    {
        TestPlatform platform = new(pages: 400);
        Secs secs = TestPlatform.DefaultSecs();
        int secsPage = platform.Create(in secs);
        byte[] contents = new byte[4096];
        SecInfo info = TestPlatform.RegInfo;

        void Build(int from, int to)
        {
            for (int i = from; i < to; i++)
            {
                platform.Add(secsPage, TestPlatform.Base + ((ulong)i << 12), contents, info, i);
                for (int offset = 0; offset < 4096; offset += 256)
                {
                    EExtend.Execute(platform.Processor, secsPage, i, offset);
                }
            }
        }

        int next = 1;
        long allocated = SoftSgx.Tests.Allocations.Of(() => Build(next, next += 70));
        Assert.InRange(allocated, 0, 69); // less than a byte a page
    }
}
