namespace SoftSgx.Host.Supervision;

/// <summary>What the supervisor does when a system call that it let go on comes to its end.</summary>
internal enum PendingCall
{
    /// <summary>Nothing: the thread is not waited for at a system call's end.</summary>
    None,

    /// <summary>execve: prepare the new program.</summary>
    Exec,

    /// <summary>An open that was turned into memfd_create.</summary>
    OpenDevice,

    /// <summary>mmap of an enclave device.</summary>
    MapDevice,

    /// <summary>mmap of anything else, which may lie over enclave memory or be executable.</summary>
    Map,

    /// <summary>mprotect.</summary>
    Protect,

    /// <summary>munmap.</summary>
    Unmap,

    /// <summary>mremap onto a fixed address.</summary>
    Remap,

    /// <summary>rt_sigaction of a fault signal.</summary>
    SigAction,

    /// <summary>sched_setaffinity or sched_getaffinity: no thread is kept on a processor meanwhile.</summary>
    Affinity,

    /// <summary>A call that may make a descriptor of /proc/PID/mem.</summary>
    NewDescriptor,

    /// <summary>process_vm_readv or process_vm_writev that comes to enclave memory; it was not made.</summary>
    RemoteMemory,

    /// <summary>An SGX ioctl after which mappings must be brought in line with the enclave.</summary>
    SettleMappings,
}
