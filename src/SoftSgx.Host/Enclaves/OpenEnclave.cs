using SoftSgx.Kernel;

namespace SoftSgx.Host.Enclaves;

/// <summary>One opener of the enclave device: the kernel's enclave and the inode that carries its memory.</summary>
internal sealed record OpenEnclave(Enclave Enclave, EnclaveInode Inode);
