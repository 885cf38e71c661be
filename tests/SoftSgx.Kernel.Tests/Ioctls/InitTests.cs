using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel.Tests;

public class InitTests
{
    // In Linux's order of checks. Each breaks one thing and leaves the others alone.
    private static readonly (string Name, Errno Errno, Action<Call> Break)[] s_checks =
    [
        ("argument unreadable", Errno.EFAULT, c => c.Argument = Machine.Unmapped),
        ("SIGSTRUCT unreadable", Errno.EFAULT, c => c.SigStructAddress = Machine.SigStructAddress + 4096 - SigStruct.Size + 1),
        ("unknown vendor", Errno.EINVAL, c => c.SigStruct.Vendor = 0x8087),
        ("attribute not allowed", Errno.EACCES, c => c.Extra = AttributeFlags.PROVISIONKEY),
        ("attribute unsupported", Errno.EINVAL, c => Demand(ref c.SigStruct, (AttributeFlags)(1UL << 3), 0)),
        ("MISCSELECT unsupported", Errno.EINVAL, c => c.SigStruct.MiscSelect = (MiscSelect)(1u << 31)),
        ("XFRM unsupported", Errno.EINVAL, c => Demand(ref c.SigStruct, 0, 1UL << 40)),
        ("EINIT faults", Errno.EIO, c => c.Result = ScriptedEncls.Fault),
        ("EINIT refuses", Errno.EPERM, c => c.Result ??= LeafResult.FromError(SgxError.SGX_INVALID_SIGNATURE)),
    ];

    public static TheoryData<int> Checks => [.. Enumerable.Range(0, s_checks.Length)];

    public static TheoryData<SgxError> Errors => [.. Enum.GetValues<SgxError>().Where(e => e != SgxError.SGX_SUCCESS)];

    [Fact]
    public void A_signed_enclave_is_initialised()
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct sigStruct) = TestEnclave.Build(machine);
        Assert.Equal(Errno.None, machine.Init(enclave, in sigStruct));
        Assert.True(enclave.IsInitialized);

        ref readonly Secs secs = ref machine.Processor.SecsOf(enclave.SecsPage);
        Assert.Equal(sigStruct.EnclaveHash, secs.MrEnclave);
        Assert.Equal(TestSigner.MrSigner, secs.MrSigner);
        Assert.Equal(TestSigner.MrSigner, machine.LogicalProcessor.LePubKeyHash);
        Assert.Equal((1, 2), (secs.IsvProdId, secs.IsvSvn));
        Assert.NotEqual(AttributeFlags.None, secs.Attributes.Flags & AttributeFlags.INIT);
        Assert.Empty(machine.Delays);

        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void Wrong_states_are_EINVAL_before_anything_is_read()
    {
        var machine = new Machine();
        Assert.Equal(Errno.EINVAL, machine.Ioctl(machine.Open(), IoctlTable.SGX_IOC_ENCLAVE_INIT, Machine.Unmapped));
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        Assert.Equal(Errno.EINVAL, machine.Ioctl(enclave, IoctlTable.SGX_IOC_ENCLAVE_INIT, Machine.Unmapped));
    }

    [Theory]
    [MemberData(nameof(Checks))]
    public void Every_check_has_its_errno_and_changes_nothing(int check)
    {
        Call call = new();
        s_checks[check].Break(call);
        AssertFails(call, s_checks[check].Errno, s_checks[check].Name);
    }

    [Theory]
    [MemberData(nameof(Checks))]
    public void The_first_check_wins(int first)
    {
        Call call = new();
        for (int check = first; check < s_checks.Length; check++)
        {
            s_checks[check].Break(call);
        }

        AssertFails(call, s_checks[first].Errno, s_checks[first].Name);
    }

    [Theory]
    [InlineData(AttributeFlags.None, 0u, 0UL, Errno.None)]
    [InlineData(AttributeFlags.INIT, 0u, 0UL, Errno.EINVAL)] // CPUID enumerates no settable INIT
    [InlineData(AttributeFlags.CET, 0u, 0UL, Errno.EINVAL)] // unknown to the kernel
    [InlineData(AttributeFlags.AEXNOTIFY, 0u, 0UL, Errno.EINVAL)] // known, but not on this processor
    [InlineData(AttributeFlags.PROVISIONKEY, 0u, 0UL, Errno.EPERM)] // a matter for EINIT: the SECS does not have it
    [InlineData(AttributeFlags.None, 2u, 0UL, Errno.EINVAL)]
    [InlineData(AttributeFlags.None, 1u, 0UL, Errno.EPERM)] // supported, but the SECS does not have it
    [InlineData(AttributeFlags.None, 0u, 1UL << 9, Errno.EINVAL)]
    [InlineData(AttributeFlags.None, 0u, 1UL << 2, Errno.EPERM)] // AVX: supported, but the SECS does not have it
    public void What_SIGSTRUCT_demands_must_be_supported(AttributeFlags flags, uint misc, ulong xfrm, Errno errno)
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct sigStruct) = TestEnclave.Build(machine);
        sigStruct.MiscSelect |= (MiscSelect)misc;
        Demand(ref sigStruct, flags, xfrm);
        TestSigner.Sign(ref sigStruct);
        Assert.Equal(errno, machine.Init(enclave, in sigStruct));
    }

    [Fact]
    public void What_the_kernel_does_not_know_is_unsupported_whatever_the_processor_enumerates()
    {
        var configuration = new ProcessorConfiguration { MiscSelect = MiscSelect.EXINFO | MiscSelect.CPINFO };
        configuration = configuration with { Attributes = configuration.Attributes | AttributeFlags.CET };
        var machine = new Machine(configuration: configuration);
        (Enclave enclave, SigStruct good) = TestEnclave.Build(machine);
        SigStruct cet = good;
        Demand(ref cet, AttributeFlags.CET, 0);
        TestSigner.Sign(ref cet);
        Assert.Equal(Errno.EINVAL, machine.Init(enclave, in cet));
        SigStruct misc = good;
        misc.MiscSelect = MiscSelect.CPINFO;
        TestSigner.Sign(ref misc);
        Assert.Equal(Errno.EINVAL, machine.Init(enclave, in misc));
        Assert.Equal(Errno.None, machine.Init(enclave, in good));
    }

    [Fact]
    public void What_SIGSTRUCT_masks_out_may_be_unsupported()
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct sigStruct) = TestEnclave.Build(machine);
        sigStruct.Attributes.Flags |= AttributeFlags.AEXNOTIFY;
        sigStruct.AttributeMask.Flags &= ~AttributeFlags.AEXNOTIFY;
        sigStruct.Attributes.Xfrm |= 1UL << 9;
        sigStruct.AttributeMask.Xfrm = 3;
        TestSigner.Sign(ref sigStruct);
        Assert.Equal(Errno.None, machine.Init(enclave, in sigStruct));
    }

    [Fact]
    public void Both_vendors_are_accepted()
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct sigStruct) = TestEnclave.Build(machine);
        sigStruct.Vendor = SigStruct.VendorIntel;
        TestSigner.Sign(ref sigStruct);
        Assert.Equal(Errno.None, machine.Init(enclave, in sigStruct));
    }

    [Theory]
    [MemberData(nameof(Errors))]
    public void Every_error_code_of_EINIT_is_EPERM(SgxError error)
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct sigStruct) = TestEnclave.Build(machine);
        machine.Encls.Fail(EnclsLeaf.EINIT, LeafResult.FromError(error));
        Assert.Equal(Errno.EPERM, machine.Init(enclave, in sigStruct));
        Assert.False(enclave.IsInitialized);
    }

    [Fact]
    public void Corrupting_any_byte_of_SIGSTRUCT_fails_and_nothing_of_it_stays()
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct good) = TestEnclave.Build(machine);
        var random = new Random(1808);
        for (int at = 0; at < SigStruct.Size; at++)
        {
            SigStruct bad = good;
            Bytes.Writable(ref bad)[at] ^= (byte)(1 << random.Next(8));
            Errno errno = machine.Init(enclave, in bad);
            Assert.True(errno is Errno.EPERM or Errno.EINVAL, $"byte {at}: {errno}");
            Assert.False(enclave.IsInitialized);
        }

        Assert.Equal(Errno.None, machine.Init(enclave, in good));
    }

    [Fact]
    public void Another_page_is_another_enclave()
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct sigStruct) = TestEnclave.Build(machine);
        Assert.Equal(Errno.None, machine.AddPages(enclave, 0x10_0000, 1, in Machine.RegRw, measure: false));
        Assert.Equal(Errno.EPERM, machine.Init(enclave, in sigStruct));
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(19, 0)]
    [InlineData(20, 1)]
    [InlineData(45, 2)]
    [InlineData(999, 49)]
    public void Unmasked_events_are_retried(int events, int sleeps)
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct sigStruct) = TestEnclave.Build(machine);
        machine.Encls.Script = (leaf, n) => leaf == EnclsLeaf.EINIT && n < events ? Unmasked : null;
        Assert.Equal(Errno.None, machine.Init(enclave, in sigStruct));
        Assert.Equal(Enumerable.Repeat(TimeSpan.FromMilliseconds(20), sleeps), machine.Delays);
    }

    [Fact]
    public void After_a_thousand_unmasked_events_INIT_gives_up()
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct sigStruct) = TestEnclave.Build(machine);
        machine.Encls.Fail(EnclsLeaf.EINIT, Unmasked);
        Assert.Equal(Errno.EPERM, machine.Init(enclave, in sigStruct));
        Assert.Equal(20 * 50, machine.Encls.Calls[EnclsLeaf.EINIT]);
        Assert.Equal(50, machine.Delays.Count);
    }

    [Fact]
    public void A_signal_between_two_attempts_restarts_the_call()
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct sigStruct) = TestEnclave.Build(machine);
        machine.Encls.Fail(EnclsLeaf.EINIT, Unmasked);
        machine.Memory.SignalAfterPageReads = 0;
        Assert.Equal(Errno.ERESTARTSYS, machine.Init(enclave, in sigStruct));
        Assert.Single(machine.Delays);

        machine.Encls.Script = (_, _) => null; // a pending signal alone does not hinder EINIT
        Assert.Equal(Errno.None, machine.Init(enclave, in sigStruct));
    }

    [Fact]
    public void Launch_control_follows_the_signer_before_every_attempt()
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct sigStruct) = TestEnclave.Build(machine);
        machine.Encls.Script = (leaf, n) =>
        {
            if (leaf != EnclsLeaf.EINIT || n > 2)
            {
                return null;
            }

            Assert.Equal(TestSigner.MrSigner, machine.LogicalProcessor.LePubKeyHash);
            machine.LogicalProcessor.LePubKeyHash = default; // as another enclave's INIT would
            return Unmasked;
        };
        Assert.Equal(Errno.None, machine.Init(enclave, in sigStruct));
    }

    private static LeafResult Unmasked => LeafResult.FromError(SgxError.SGX_UNMASKED_EVENT);

    private static void Demand(ref SigStruct sigStruct, AttributeFlags flags, ulong xfrm)
    {
        sigStruct.Attributes.Flags |= flags;
        sigStruct.AttributeMask.Flags |= flags;
        sigStruct.Attributes.Xfrm |= xfrm;
        sigStruct.AttributeMask.Xfrm |= xfrm;
        sigStruct.MiscMask = (MiscSelect)~0u;
    }

    private static void AssertFails(Call call, Errno errno, string name)
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated(extra: call.Extra);
        if (call.Result is LeafResult result)
        {
            machine.Encls.Fail(EnclsLeaf.EINIT, result);
        }

        machine.Memory.Write(Machine.SigStructAddress, in call.SigStruct);
        machine.Memory.Write(Machine.ArgumentAddress, new SgxEnclaveInit { SigStruct = call.SigStructAddress });
        Hash256 launchKey = machine.LogicalProcessor.LePubKeyHash;

        Errno actual = machine.Ioctl(enclave, IoctlTable.SGX_IOC_ENCLAVE_INIT, call.Argument);

        Assert.True(errno == actual, $"{name}: {actual} instead of {errno}");
        Assert.False(enclave.IsInitialized);
        Assert.Equal(!machine.Encls.Calls.ContainsKey(EnclsLeaf.EINIT), launchKey == machine.LogicalProcessor.LePubKeyHash);
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    private sealed class Call
    {
        public SigStruct SigStruct = new() { MiscMask = (MiscSelect)~0u };

        public ulong Argument { get; set; } = Machine.ArgumentAddress;

        public ulong SigStructAddress { get; set; } = Machine.SigStructAddress;

        public AttributeFlags Extra { get; set; }

        public LeafResult? Result { get; set; }
    }
}
