using SoftSgx.Kernel;

namespace SoftSgx.Host.Enclaves;

/// <summary>One opener of the enclave device: the kernel's enclave and the inode that carries its memory.</summary>
internal sealed record OpenEnclave(Enclave Enclave, EnclaveInode Inode)
{
    /// <summary>
    /// As many ioctls are at work on it. Each holds a reference of its own, as fdget gives one in the kernel: another thread of the program
    /// may close the descriptor meanwhile.
    /// </summary>
    internal int Calls { get; set; }

    /// <summary>A debugger has looked into it: from then on its code is as it was built, and the model alone executes its transitions.</summary>
    internal bool IsDebugged { get; set; }
}
