using System.Runtime.InteropServices;
using SoftSgx.Host.Interop;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Spawn;

/// <summary>A list of system calls that a freshly cloned child runs without any code of a runtime around it.</summary>
/// <remarks>
/// <para>
/// Between clone and exec a child of a multi-threaded process may run nothing that takes locks, allocates or touches
/// thread-local state: no managed code, no C library. So the child executes a loop of machine code that reads calls from a table
/// in memory shared with the parent and, should one fail, leaves the errno and the index there and exits.
/// </para>
/// <para>
/// Table layout, 64-bit words: [0] index of the failed call + 1, [1] its errno, [2] number of calls, [3] unused, then for each
/// call eight words: number, six arguments, and whether failure is tolerated.
/// </para>
/// </remarks>
internal sealed unsafe class SyscallScript : IDisposable
{
    private const int HeaderWords = 4, CallWords = 8, MaximumCalls = 128;
    private const int TableBytes = (HeaderWords + (CallWords * MaximumCalls)) * sizeof(long);
    private const int StackBytes = 16384;

    /// <summary>
    /// long run(long cloneFlags /*rdi*/, long childStack /*rsi*/, long* table /*rdx*/): the parent gets the child's pid or -errno.
    /// </summary>
    /// <remarks>Disassembly beside each line; the table pointer travels in RBX, which system calls preserve.</remarks>
    private static ReadOnlySpan<byte> Code =>
    [
        0x53,                                   // push rbx
        0x48, 0x89, 0xD3,                       // mov rbx, rdx
        0x31, 0xD2,                             // xor edx, edx          parent_tid
        0x45, 0x31, 0xD2,                       // xor r10d, r10d        child_tid
        0x45, 0x31, 0xC0,                       // xor r8d, r8d          tls
        0xB8, 0x38, 0x00, 0x00, 0x00,           // mov eax, 56           clone
        0x0F, 0x05,                             // syscall
        0x48, 0x85, 0xC0,                       // test rax, rax
        0x74, 0x02,                             // jz child
        0x5B,                                   // pop rbx
        0xC3,                                   // ret
        // child:
        0x4C, 0x8D, 0x63, 0x20,                 // lea r12, [rbx+32]     first call
        0x45, 0x31, 0xED,                       // xor r13d, r13d        index
        // next:
        0x4C, 0x3B, 0x6B, 0x10,                 // cmp r13, [rbx+16]
        0x73, 0x44,                             // jae leave
        0x49, 0x8B, 0x04, 0x24,                 // mov rax, [r12]
        0x49, 0x8B, 0x7C, 0x24, 0x08,           // mov rdi, [r12+8]
        0x49, 0x8B, 0x74, 0x24, 0x10,           // mov rsi, [r12+16]
        0x49, 0x8B, 0x54, 0x24, 0x18,           // mov rdx, [r12+24]
        0x4D, 0x8B, 0x54, 0x24, 0x20,           // mov r10, [r12+32]
        0x4D, 0x8B, 0x44, 0x24, 0x28,           // mov r8, [r12+40]
        0x4D, 0x8B, 0x4C, 0x24, 0x30,           // mov r9, [r12+48]
        0x0F, 0x05,                             // syscall
        0x49, 0xFF, 0xC5,                       // inc r13
        0x48, 0x85, 0xC0,                       // test rax, rax
        0x79, 0x08,                             // jns succeeded
        0x49, 0x83, 0x7C, 0x24, 0x38, 0x00,     // cmp qword [r12+56], 0
        0x74, 0x06,                             // je failed
        // succeeded:
        0x49, 0x83, 0xC4, 0x40,                 // add r12, 64
        0xEB, 0xC0,                             // jmp next
        // failed:
        0x48, 0xF7, 0xD8,                       // neg rax
        0x48, 0x89, 0x43, 0x08,                 // mov [rbx+8], rax
        0x4C, 0x89, 0x2B,                       // mov [rbx], r13
        // leave:
        0xBF, 0x7F, 0x00, 0x00, 0x00,           // mov edi, 127
        0xB8, 0xE7, 0x00, 0x00, 0x00,           // mov eax, 231          exit_group
        0x0F, 0x05,                             // syscall
    ];

    private readonly nint _code;
    private readonly long* _table;
    private readonly nint _stack;
    private readonly List<nint> _blocks = [];
    private readonly List<string> _names = [];

    internal SyscallScript()
    {
        _code = ExecutableMemory.Allocate(Code);
        _table = (long*)MapOrThrow(TableBytes, MAP_SHARED | MAP_ANONYMOUS);
        _stack = MapOrThrow(StackBytes, MAP_PRIVATE | MAP_ANONYMOUS);
    }

    /// <summary>Adds a call; <paramref name="tolerated"/> lets the script go on when it fails.</summary>
    internal void Add(string name, nint number, nint a0 = 0, nint a1 = 0, nint a2 = 0, nint a3 = 0, nint a4 = 0, nint a5 = 0, bool tolerated = false)
    {
        if (_names.Count == MaximumCalls)
        {
            throw new InvalidOperationException("The script is full.");
        }
        long* call = _table + HeaderWords + (CallWords * _names.Count);
        (call[0], call[1], call[2], call[3], call[4], call[5], call[6]) = (number, a0, a1, a2, a3, a4, a5);
        call[7] = tolerated ? 1 : 0;
        _names.Add(name);
        _table[2] = _names.Count;
    }

    /// <summary>Unmanaged memory that lives as long as the script; the child reads it through the shared address space.</summary>
    internal nint Keep(ReadOnlySpan<byte> bytes)
    {
        nint block = (nint)NativeMemory.Alloc((nuint)Math.Max(bytes.Length, 1));
        _blocks.Add(block);
        bytes.CopyTo(new Span<byte>((void*)block, bytes.Length));
        return block;
    }

    /// <summary>Clones a child that runs the script; its pid, or minus the errno of clone.</summary>
    /// <remarks>
    /// The child shares this address space (CLONE_VM) until it execs, so nothing is copied; it has a stack of its own, though it
    /// never pushes anything. Signals must be blocked by the caller: a handler of the runtime's would run in the child.
    /// </remarks>
    internal int CloneAndRun()
    {
        var run = (delegate* unmanaged<long, nint, long*, long>)_code;
        return (int)run(CLONE_VM | SIGCHLD, _stack + StackBytes - 64, _table);
    }

    /// <summary>The call that failed and its errno, once the child has left; null if none did.</summary>
    internal (string Name, int Errno)? Failure =>
        Volatile.Read(ref _table[0]) is long index and > 0 ? (_names[(int)index - 1], (int)_table[1]) : null;

    public void Dispose()
    {
        ExecutableMemory.Free(_code);
        _ = Libc.MUnmap((nint)_table, TableBytes);
        _ = Libc.MUnmap(_stack, StackBytes);
        foreach (nint block in _blocks)
        {
            NativeMemory.Free((void*)block);
        }
    }

    private static nint MapOrThrow(nuint bytes, int flags)
    {
        nint address = Libc.MMap(0, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
        return address != -1 ? address : throw new HostException($"mmap of {bytes} bytes failed (errno {Libc.Errno})");
    }
}
