using System.Runtime.InteropServices;
using SoftSgx.Kernel;

namespace SoftSgx.Simulation;

/// <summary>Writes the contents of an enclave page that is about to be added.</summary>
/// <param name="page">Page index in the enclave.</param>
/// <param name="contents">4,096 bytes.</param>
public delegate void PageContents(ulong page, Span<byte> contents);

/// <summary>
/// The memory of a program that builds an enclave: a page for the arguments of ioctls, and a source mapping in which the page for
/// enclave page n lies at its own address, its contents made when they are read.
/// </summary>
internal sealed class BuilderMemory : IUserMemory, IFileTable
{
    /// <summary>Where an ioctl's argument lies.</summary>
    public const ulong ArgumentAddress = 0x1000;

    /// <summary>Where the structure lies that the argument points to: SECS, SECINFO or SIGSTRUCT.</summary>
    public const ulong StructureAddress = 0x2000;

    /// <summary>Where the source of enclave page 0 lies.</summary>
    public const ulong SourceAddress = 1UL << 50;

    private const ulong SourceEnd = SourceAddress << 1;

    private readonly byte[] _bytes = new byte[2 * EpcPool.PageSize];

    /// <summary>Fills source pages; zeros if there is none.</summary>
    public PageContents? Contents { get; set; }

    /// <inheritdoc/>
    public bool TryRead(ulong address, Span<byte> destination)
    {
        if (address >= SourceAddress)
        {
            if (Contents is null)
            {
                destination.Clear();
            }
            else
            {
                Contents((address - SourceAddress) / EpcPool.PageSize, destination);
            }

            return true;
        }

        _bytes.AsSpan((int)(address - ArgumentAddress), destination.Length).CopyTo(destination);
        return true;
    }

    /// <inheritdoc/>
    public bool TryWrite(ulong address, ReadOnlySpan<byte> source)
    {
        source.CopyTo(_bytes.AsSpan((int)(address - ArgumentAddress)));
        return true;
    }

    /// <inheritdoc/>
    public SourceMapping FindMapping(ulong address) => new(SourceAddress, SourceEnd, MayExecute: true);

    /// <inheritdoc/>
    public bool IsProvisionDevice(int fd) => false;

    /// <summary>Puts a structure into memory.</summary>
    public void Write<T>(ulong address, in T value)
        where T : unmanaged => TryWrite(address, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));

    /// <summary>Gets a structure.</summary>
    public T Read<T>(ulong address)
        where T : unmanaged => MemoryMarshal.Read<T>(_bytes.AsSpan((int)(address - ArgumentAddress)));
}
