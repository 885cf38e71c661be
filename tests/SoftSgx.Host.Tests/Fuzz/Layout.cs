namespace SoftSgx.Host.Tests.Fuzz;

/// <summary>What <c>native/calls.c</c> and the model agree upon: addresses, source pages, paths.</summary>
internal static class Layout
{
    internal const ulong Page = 4096;

    /// <summary>Where enclaves and mappings of the sequences lie.</summary>
    internal const ulong Arena = 0x1000_0000_0000;

    internal const ulong ArenaPages = 256;

    internal const int Slots = 8;

    /// <summary>Pages of the enclaves: code, the state save area, a TCS, SECINFOs.</summary>
    internal const ulong CodePage = 0, SsaPage = 1, TcsPage = 2, SecInfoPage = 3;

    /// <summary>An address where nothing is.</summary>
    internal const ulong Nothing = 0x7000;

    /// <summary>SECINFO flags that lie in each page of <see cref="Source.SecInfos"/>, 64 bytes apart.</summary>
    internal static ReadOnlySpan<ulong> SecInfos =>
        [0x20b, 0x209, 0x221, 0x223, 0x225, 0x227, 0x220, 0x410, 0x110, 0x201, 0x203, 0x205, 0x207, 0x202, 0x1000, 0];
}

/// <summary>Pages to add to an enclave, by the numbers that <c>add</c> and <c>addpage</c> use.</summary>
internal enum Source
{
    Code,
    Tcs,
    SecInfos,
    Junk,

    /// <summary>Mapped, but not readable.</summary>
    Protected,

    /// <summary>Not mapped.</summary>
    Absent,

    /// <summary>Not aligned.</summary>
    Odd,

    /// <summary>The last two pages before nothing.</summary>
    Short,
}

/// <summary>The paths of <c>open</c>, by their numbers.</summary>
internal enum DevicePath
{
    Enclave,
    Provision,
    EnclaveV22,
    ProvisionV22,

    /// <summary>A device as if it were a directory.</summary>
    AsDirectory,

    /// <summary>Another way to write <see cref="Enclave"/>.</summary>
    EnclaveOtherwise,
}
