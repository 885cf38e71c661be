using System.Runtime.InteropServices;

namespace SoftSgx.Host.Interop;

/// <summary><c>struct epoll_event</c>, packed on x86-64.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct EpollEvent
{
    internal uint Events;
    internal ulong Key;
}
