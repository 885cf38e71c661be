using System.Buffers.Binary;
using SoftSgx.Host.Seccomp;
using SoftSgx.Host.Supervision;
using SoftSgx.Host.Vdso;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Tests.Seccomp;

/// <summary>Which system calls stop the program: the filters, run by an interpreter of classic BPF.</summary>
public sealed class SeccompFiltersTests
{
    private const uint ArchI386 = 0x40000003;
    private static readonly ulong[] s_none = new ulong[6];

    [Theory]
    [InlineData(SYS_open)]
    [InlineData(SYS_openat)]
    [InlineData(SYS_openat2)]
    [InlineData(SYS_creat)]
    [InlineData(SYS_stat)]
    [InlineData(SYS_lstat)]
    [InlineData(SYS_access)]
    [InlineData(SYS_faccessat)]
    [InlineData(SYS_faccessat2)]
    [InlineData(SYS_newfstatat)]
    [InlineData(SYS_statx)]
    [InlineData(SYS_readlink)]
    [InlineData(SYS_readlinkat)]
    [InlineData(SYS_process_vm_readv)]
    [InlineData(SYS_process_vm_writev)]
    public void Look_ups_of_paths_and_of_memory_stop(int number) => Assert.True(Stops(SeccompFilters.Base(), number));

    [Theory]
    [InlineData(SYS_read)]
    [InlineData(SYS_close)]
    [InlineData(SYS_fstat)]
    [InlineData(SYS_munmap)]
    [InlineData(SYS_rt_sigprocmask)]
    [InlineData(SYS_execve)]
    [InlineData(SYS_clone)]
    [InlineData(SYS_getpid)]
    public void Other_calls_pass(int number) => Assert.False(Stops(SeccompFilters.Base(), number));

    [Fact]
    public void Fstat_of_the_C_library_passes()
    {
        Assert.False(Stops(SeccompFilters.Base(), SYS_newfstatat, 3, 0, 0, AT_EMPTY_PATH));
        Assert.False(Stops(SeccompFilters.Base(), SYS_statx, 3, 0, AT_EMPTY_PATH));
    }

    [Theory]
    [InlineData(0x4008A400u, true)]
    [InlineData(0xC030A401u, true)]
    [InlineData(0x4020A401u, true)]
    [InlineData(0x5401u, false)]
    [InlineData(0xA4u, false)]
    public void Ioctls_stop_by_their_magic(uint command, bool stops) =>
        Assert.Equal(stops, Stops(SeccompFilters.Base(), SYS_ioctl, 3, command));

    [Theory]
    [InlineData(PROT_READ, MAP_PRIVATE, false)]
    [InlineData(PROT_READ | PROT_EXEC, MAP_PRIVATE, true)]
    [InlineData(PROT_READ, MAP_SHARED, true)]
    [InlineData(PROT_READ, MAP_SHARED_VALIDATE, true)]
    [InlineData(PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, false)]
    [InlineData(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, false)]
    public void Mappings_stop_if_they_can_be_a_devices_or_code(int protection, int flags, bool stops) =>
        Assert.Equal(stops, Stops(SeccompFilters.Base(), SYS_mmap, 0, 4096, (ulong)protection, (ulong)flags));

    [Theory]
    [InlineData(SIGSEGV, 0x1000UL, true)]
    [InlineData(SIGILL, 0x100000000UL, true)] // only the upper half of the pointer is set
    [InlineData(SIGILL, 0UL, false)]
    [InlineData(SIGUSR1, 0x1000UL, false)]
    public void Dispositions_stop_for_changes_of_fault_signals(int signal, ulong action, bool stops) =>
        Assert.Equal(stops, Stops(SeccompFilters.Base(), SYS_rt_sigaction, (ulong)signal, action));

    [Fact]
    public void Rt_sigreturn_stops_only_with_the_magic()
    {
        Assert.True(Stops(SeccompFilters.Base(), SYS_rt_sigreturn, 0, 0, 0, VdsoImage.TrapMagic));
        Assert.False(Stops(SeccompFilters.Base(), SYS_rt_sigreturn));
        Assert.False(Stops(SeccompFilters.Base(), SYS_rt_sigreturn, 0, 0, 0, VdsoImage.TrapMagic ^ 1));
        Assert.False(Stops(SeccompFilters.Base(), SYS_rt_sigreturn, 0, 0, 0, VdsoImage.TrapMagic ^ (1UL << 63)));
    }

    [Fact]
    public void Other_architectures_pass()
    {
        Assert.Equal(SECCOMP_RET_ALLOW, Run(SeccompFilters.Base(), SYS_open, ArchI386, s_none));
        Assert.False(Stops(SeccompFilters.Base(), SYS_open | 0x40000000)); // x32
    }

    [Theory]
    [InlineData(SYS_munmap, true)]
    [InlineData(SYS_mremap, true)]
    [InlineData(SYS_mprotect, true)]
    [InlineData(SYS_mmap, true)]
    [InlineData(SYS_fstat, true)]
    [InlineData(SYS_ftruncate, true)]
    [InlineData(SYS_fallocate, true)]
    [InlineData(SYS_read, false)]
    [InlineData(SYS_ioctl, false)]
    public void Users_of_the_device_are_watched_for_changes_of_the_address_space(int number, bool stops) =>
        Assert.Equal(stops, Stops(SeccompFilters.EnclaveUser(), number));

    [Theory]
    [InlineData(SYS_read, true)]
    [InlineData(SYS_write, true)]
    [InlineData(SYS_pread64, true)]
    [InlineData(SYS_pwrite64, true)]
    [InlineData(SYS_readv, true)]
    [InlineData(SYS_writev, true)]
    [InlineData(SYS_preadv, true)]
    [InlineData(SYS_pwritev, true)]
    [InlineData(SYS_preadv2, true)]
    [InlineData(SYS_pwritev2, true)]
    [InlineData(SYS_dup, true)]
    [InlineData(SYS_dup2, true)]
    [InlineData(SYS_dup3, true)]
    [InlineData(SYS_close, false)]
    [InlineData(SYS_lseek, false)]
    [InlineData(SYS_fcntl, true, (ulong)F_DUPFD)]
    [InlineData(SYS_fcntl, true, (ulong)F_DUPFD_CLOEXEC)]
    [InlineData(SYS_fcntl, false, (ulong)F_GETFL)]
    public void A_process_s_memory_is_watched_by_its_descriptor(int number, bool stops, ulong command = 0)
    {
        byte[] one = SeccompFilters.MemoryFile(7), all = SeccompFilters.MemoryFile(null);
        Assert.Equal(stops, Stops(one, number, 7, command));
        Assert.Equal(stops, Stops(one, number, 7 | (1UL << 32), command)); // the kernel looks at the lower half only
        Assert.False(Stops(one, number, 8, command));
        Assert.Equal(stops, Stops(all, number, 8, command));
        Assert.True(16 + one.Length <= VdsoData.FilterBody - VdsoData.Scratch); // with its header it is placed there
    }

    [Fact]
    public void Mprotect_of_the_ageing_process_passes()
    {
        foreach (byte[] filter in (byte[][])[SeccompFilters.Base(), SeccompFilters.EnclaveUser()])
        {
            Assert.False(Stops(filter, SYS_mprotect, 0, 4096, PROT_EXEC, VdsoPaging.ProtectMagic));
            Assert.True(Stops(filter, SYS_mprotect, 0, 4096, PROT_EXEC));
            Assert.True(Stops(filter, SYS_mprotect, 0, 4096, PROT_EXEC, VdsoPaging.ProtectMagic ^ 1));
            Assert.True(Stops(filter, SYS_mprotect, 0, 4096, PROT_EXEC, VdsoPaging.ProtectMagic ^ (1UL << 63)));
        }
    }

    private static bool Stops(byte[] program, int number, params ulong[] arguments)
    {
        ulong[] all = new ulong[6];
        arguments.CopyTo(all, 0);
        return Run(program, number, AUDIT_ARCH_X86_64, all) switch
        {
            SECCOMP_RET_TRACE => true,
            SECCOMP_RET_ALLOW => false,
            uint other => throw new InvalidOperationException($"The filter answers 0x{other:x}."),
        };
    }

    /// <summary>Interprets the instructions that the assembler makes, over a struct seccomp_data (linux/seccomp.h).</summary>
    private static uint Run(byte[] program, int number, uint arch, ulong[] arguments)
    {
        byte[] data = new byte[64];
        BinaryPrimitives.WriteInt32LittleEndian(data, number);
        BinaryPrimitives.WriteUInt32LittleEndian(data.AsSpan(4), arch);
        for (int i = 0; i < arguments.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(data.AsSpan(16 + (8 * i)), arguments[i]);
        }
        uint a = 0;
        for (int pc = 0; ; pc++)
        {
            ReadOnlySpan<byte> instruction = program.AsSpan(pc * 8, 8);
            uint k = BinaryPrimitives.ReadUInt32LittleEndian(instruction[4..]);
            switch (BinaryPrimitives.ReadUInt16LittleEndian(instruction))
            {
                case 0x20:
                    a = BinaryPrimitives.ReadUInt32LittleEndian(data.AsSpan((int)k));
                    break;
                case 0x54:
                    a &= k;
                    break;
                case 0x15:
                    pc += a == k ? instruction[2] : instruction[3];
                    break;
                case 0x45:
                    pc += (a & k) != 0 ? instruction[2] : instruction[3];
                    break;
                case 0x35:
                    pc += a >= k ? instruction[2] : instruction[3];
                    break;
                case 0x06:
                    return k;
                case ushort code:
                    throw new InvalidOperationException($"The interpreter does not know instruction 0x{code:x}.");
            }
        }
    }
}
