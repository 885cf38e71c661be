using SoftSgx.Processor;

namespace SoftSgx.Kernel;

/// <summary>
/// Where the contents of EPC pages live. REG pages live in their enclave's inode (<see cref="IEnclaveInode"/>); SECS, TCS and
/// VA pages live in private frames that no program can map.
/// </summary>
public interface IEpcPlatform : IEpcFrames
{
    /// <summary>Gives an EPC page a private frame. Its contents are undefined until the processor writes them.</summary>
    /// <param name="epcPage">Index of the EPC page.</param>
    public void AttachPrivate(int epcPage);

    /// <summary>Takes the private frame away and forgets its contents.</summary>
    /// <param name="epcPage">Index of the EPC page.</param>
    public void DetachPrivate(int epcPage);

    /// <summary>Makes the backing file of one enclave, empty.</summary>
    /// <param name="bytes">Its size in bytes; only what is written holds memory.</param>
    /// <returns>The file, or <see langword="null"/> if the host cannot have one of that size: CREATE answers ENOMEM.</returns>
    public IBackingFile? CreateBacking(ulong bytes);
}
