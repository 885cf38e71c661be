using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>
/// The seat of a security module: what it is asked before an enclave comes about, gets a page, is mapped, or starts.
/// Source: the proposals for Linux security modules of June 2019 (enclave_load, enclave_map; a variant with enclave_init), never merged.
/// </summary>
/// <remarks>
/// A hook answers <see cref="Errno.None"/>, or an error that the call in progress then fails with. It is asked after the driver's own
/// checks and before anything has changed. <see cref="Load"/> of a page that a fault adds comes under the enclave's lock, the other
/// hooks under the opener's ioctl flag or nothing; none may call back into the enclave's ioctls or wait for a thread of the program.
/// </remarks>
public interface ISecurityModule
{
    /// <summary>CREATE: the enclave's attributes are known, its identity is not.</summary>
    /// <param name="enclave">The enclave, not created yet.</param>
    /// <param name="attributes">ATTRIBUTES of the SECS.</param>
    public Errno Create(Enclave enclave, AttributeFlags attributes);

    /// <summary>
    /// Pages are about to be added, all alike: once for each mapping that an ioctl takes them from, or for one page of EAUG.
    /// </summary>
    /// <param name="enclave">The enclave.</param>
    /// <param name="load">The pages.</param>
    public Errno Load(Enclave enclave, in PageLoad load);

    /// <summary>Enclave memory is about to be mapped, or a mapping of it to get another protection.</summary>
    /// <param name="enclave">The enclave; perhaps not created yet.</param>
    /// <param name="start">First address.</param>
    /// <param name="behind">First address behind.</param>
    /// <param name="protection">The access asked.</param>
    public Errno Map(Enclave enclave, ulong start, ulong behind, PageProtection protection);

    /// <summary>INIT: what the SIGSTRUCT says of the enclave's identity is what EINIT will verify next.</summary>
    /// <param name="enclave">The enclave.</param>
    /// <param name="sigStruct">The SIGSTRUCT.</param>
    public Errno Init(Enclave enclave, in SigStruct sigStruct);
}

/// <summary>Pages that are about to be added to an enclave.</summary>
public readonly ref struct PageLoad
{
    /// <summary>Linear address of the first.</summary>
    public required ulong Address { get; init; }

    /// <summary>Bytes; a multiple of 4096.</summary>
    public required ulong Length { get; init; }

    /// <summary>The most that they may ever be mapped with: SECINFO's permissions.</summary>
    public required PageProtection Protection { get; init; }

    /// <summary>Every byte of them goes into MRENCLAVE.</summary>
    public bool IsMeasured { get; init; }

    /// <summary>They come by EAUG, at a page fault: there is no source, and the enclave itself fills them.</summary>
    public bool IsAugmented { get; init; }

    /// <summary>Address of the source; meaningless for EAUG.</summary>
    public ulong SourceAddress { get; init; }

    /// <summary>The mapping that the source lies in; it reaches at least as far as the pages do.</summary>
    public SourceMapping Source { get; init; }

    /// <summary>Whose memory the source is in; <see langword="null"/> for EAUG.</summary>
    public IUserMemory? Memory { get; init; }
}

/// <summary>
/// The thread of the program on whose behalf the kernel works: <c>current</c>. Whatever is asked is looked up then, for it costs something.
/// </summary>
public interface ICallingTask
{
    /// <summary>Its thread id; 0 if there is none.</summary>
    public int Tid { get; }

    /// <summary>Its effective user id; 2^32 − 1 if that cannot be told.</summary>
    public uint User { get; }

    /// <summary>Path of the program that it executes; <see langword="null"/> if it has none or cannot be told.</summary>
    public string? Executable { get; }

    /// <summary>Its command name, at most 15 bytes.</summary>
    public string Command { get; }
}

/// <summary>No thread of a program.</summary>
internal sealed class NoTask : ICallingTask
{
    public static NoTask Instance { get; } = new();

    public int Tid => 0;

    public uint User => uint.MaxValue;

    public string? Executable => null;

    public string Command => "";
}
