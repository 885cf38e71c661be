using SoftSgx.Host.Interop;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Enclaves;

/// <summary>Buffers of a page each, for pages of an enclave on their way into the EPC or out of it.</summary>
/// <remarks>
/// Few are in use at a time, one for each thread that loads and one for each page of a batch at most, so they come in chunks that are
/// kept. Touched again and again, they stay in the processor's caches. Thread-safe.
/// </remarks>
internal sealed unsafe class StagingBuffers : IDisposable
{
    private const int BuffersPerChunk = 64;

    private readonly Lock _lock = new();
    private readonly List<nint> _chunks = [];
    private readonly Stack<nint> _free = new(BuffersPerChunk);

    /// <summary>A buffer of undefined contents, aligned to its size.</summary>
    internal nint Rent()
    {
        lock (_lock)
        {
            if (_free.Count == 0)
            {
                AddChunk();
            }
            return _free.Pop();
        }
    }

    internal void Return(nint buffer)
    {
        lock (_lock)
        {
            _free.Push(buffer);
        }
    }

    public void Dispose()
    {
        foreach (nint chunk in _chunks)
        {
            _ = Libc.MUnmap(chunk, BuffersPerChunk * (nuint)PageSize);
        }
        _chunks.Clear();
        _free.Clear();
    }

    private void AddChunk()
    {
        nint chunk = Libc.MMap(0, BuffersPerChunk * (nuint)PageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (chunk == -1)
        {
            throw new HostException($"no memory for pages of enclaves on their way (mmap: errno {Libc.Errno})");
        }
        _chunks.Add(chunk);
        for (int i = BuffersPerChunk - 1; i >= 0; i--)
        {
            _free.Push(chunk + (i * (nint)PageSize));
        }
    }
}
