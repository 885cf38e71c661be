using Microsoft.Win32.SafeHandles;

namespace SoftSgx.Images;

/// <summary>Where a file's bytes come from.</summary>
internal abstract class ImageSource
{
    /// <summary>Length in bytes.</summary>
    internal abstract long Length { get; }

    /// <summary>Reads up to so many bytes; fewer only at the end.</summary>
    internal abstract int Read(long offset, Span<byte> destination);

    /// <summary>Reads exactly so many bytes.</summary>
    internal void ReadExactly(long offset, Span<byte> destination, string what)
    {
        if (Read(offset, destination) != destination.Length)
        {
            throw new ImageException(offset, $"{what} ({destination.Length} bytes) reaches beyond the end of the file");
        }
    }

    /// <summary>All of it, in memory.</summary>
    internal abstract ReadOnlyMemory<byte> All();

    /// <summary>Bytes in memory.</summary>
    internal static ImageSource Of(ReadOnlyMemory<byte> bytes) => new MemorySource(bytes);

    /// <summary>A file.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    internal static ImageSource OpenFile(string path) => new FileSource(path);

    private sealed class MemorySource(ReadOnlyMemory<byte> bytes) : ImageSource
    {
        internal override long Length => bytes.Length;

        internal override int Read(long offset, Span<byte> destination)
        {
            ReadOnlySpan<byte> rest = offset < bytes.Length ? bytes.Span[(int)offset..] : [];
            int count = Math.Min(rest.Length, destination.Length);
            rest[..count].CopyTo(destination);
            return count;
        }

        internal override ReadOnlyMemory<byte> All() => bytes;
    }

    // The handle stays open as long as a layout that reads from it, so that a file renamed over it meanwhile changes nothing.
    private sealed class FileSource : ImageSource
    {
        private readonly SafeFileHandle _file;

        internal FileSource(string path)
        {
            _file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            try
            {
                Length = RandomAccess.GetLength(_file);
            }
            catch (NotSupportedException)
            {
                throw new ImageException("it is no regular file");
            }
        }

        internal override long Length { get; }

        internal override int Read(long offset, Span<byte> destination)
        {
            int done = 0;
            while (done < destination.Length && RandomAccess.Read(_file, destination[done..], offset + done) is > 0 and int count)
            {
                done += count;
            }

            return done;
        }

        internal override ReadOnlyMemory<byte> All()
        {
            byte[] bytes = new byte[Length];
            ReadExactly(0, bytes, "the file");
            return bytes;
        }
    }
}
