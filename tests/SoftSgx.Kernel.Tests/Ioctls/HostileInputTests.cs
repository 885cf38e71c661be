using SoftSgx.Architecture;

namespace SoftSgx.Kernel.Tests;

/// <summary>Whatever a program says, the kernel answers with an errno and keeps its books.</summary>
public class HostileInputTests
{
    private static readonly ulong[] s_values =
    [
        0, 1, 7, 0xFFF, 0x1000, 0x1001, 0x2000, 0x3000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x1_0000_0000,
        0x7FFF_FFFF_F000, 0x8000_0000_0000, 0x7FFFFFFF_FFFFFFFF, 0x80000000_00000000, 0xFFFF8000_00000000,
        0xFFFFFFFF_FFFFE000, 0xFFFFFFFF_FFFFF000, 0xFFFFFFFF_FFFFFFF8, ulong.MaxValue,
        Machine.ArgumentAddress, Machine.SecsAddress, Machine.SecInfoAddress, Machine.SigStructAddress,
        Machine.SigStructAddress + 4095, Machine.SourceAddress, Machine.SourceAddress + 1, Machine.NoExecAddress,
        Machine.Unmapped, Machine.EnclaveBase, Machine.EnclaveSize, Machine.EnclaveSize - 0x1000,
    ];

    [Theory]
    [InlineData(1, DeviceAbi.Mainline)]
    [InlineData(2, DeviceAbi.Mainline)]
    [InlineData(3, DeviceAbi.V22)]
    [InlineData(4, DeviceAbi.V22)]
    public void Any_sequence_of_ioctls_is_answered_and_leaks_nothing(int seed, DeviceAbi abi)
    {
        var random = new Random(seed);
        var machine = new Machine(epcPages: 24);
        var commands = IoctlTable.Entries.Select(e => e.Command).Append(0u).ToArray();
        var seen = new HashSet<Errno>();
        for (int round = 0; round < 60; round++)
        {
            Enclave enclave = machine.Open(abi);
            machine.Memory.Write(Machine.SecsAddress, Machine.Secs());
            machine.Memory.Write(Machine.SecInfoAddress, in Machine.RegRw);
            if (random.Next(4) != 0)
            {
                machine.Create(enclave, Machine.Secs());
            }

            for (int call = 0; call < 150; call++)
            {
                PutArgument(machine, random);
                ulong argument = random.Next(8) == 0 ? Pick(random) : Machine.ArgumentAddress;
                seen.Add(machine.Ioctl(enclave, commands[random.Next(commands.Length)], argument));
                ulong a = Pick(random);
                ulong b = Pick(random);
                enclave.MayMap(a, b, (PageProtection)random.Next(8));
                enclave.EpcmProtection(a);
                if (enclave.NextRun(ref a, b, out _, out ulong runEnd))
                {
                    Assert.True(runEnd > a);
                }
            }

            Assert.Equal(enclave.PageCount - enclave.TakenSlots, machine.Pool.CountOf(PageType.PT_REG) + machine.Pool.CountOf(PageType.PT_TCS));
            enclave.Release();
            machine.AssertNothingLeaked();
        }

        HashSet<Errno> reached = [Errno.None, Errno.EINVAL, Errno.EFAULT, Errno.EBUSY, Errno.EACCES, Errno.ENOTTY, Errno.ENODEV];
        Assert.Superset(reached, seen);
    }

    private static ulong Pick(Random random)
        => random.Next(4) == 0 ? (ulong)random.NextInt64() << random.Next(2) : s_values[random.Next(s_values.Length)];

    // An argument that is sometimes wholly random and sometimes nearly valid.
    private static void PutArgument(Machine machine, Random random)
    {
        bool nearlyValid = random.Next(2) == 0;
        ulong source = random.Next(6) == 0 ? Machine.NoExecAddress : Machine.SourceAddress;
        ulong[] valid =
            [source, (ulong)random.Next(32) * 4096, 0x1000, Machine.SecInfoAddress, (ulong)random.Next(2), 0];
        for (int field = 0; field < valid.Length; field++)
        {
            ulong value = nearlyValid && random.Next(8) != 0 ? valid[field] : Pick(random);
            machine.Memory.Write(Machine.ArgumentAddress + ((ulong)field * 8), in value);
        }
    }
}
