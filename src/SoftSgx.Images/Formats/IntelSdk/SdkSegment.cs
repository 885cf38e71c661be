using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>A part of an enclave's file that becomes pages: a loadable segment of ELF.</summary>
/// <param name="Where">Offset into the file of its header.</param>
/// <param name="FileOffset">Where its bytes stand in the file.</param>
/// <param name="FileSize">How many there are.</param>
/// <param name="Rva">Offset of its first byte in the enclave; need not be that of a page.</param>
/// <param name="MemorySize">Bytes that it has in the enclave.</param>
/// <param name="Permissions">Of its pages.</param>
/// <param name="Name">For people.</param>
internal sealed record SdkSegment(
    ulong Where, ulong FileOffset, ulong FileSize, ulong Rva, ulong MemorySize, SecInfoFlags Permissions, string Name);
