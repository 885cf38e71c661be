namespace SoftSgx.Architecture;

/// <summary>
/// User leaf functions of SGX: the value of EAX at ENCLU.
/// SDM vol. 3D, "Intel SGX instruction set: user functions".
/// </summary>
public enum EncluLeaf : uint
{
    /// <summary>Make a report for a target enclave on the same platform.</summary>
    EREPORT = 0x00,

    /// <summary>Derive a key.</summary>
    EGETKEY = 0x01,

    /// <summary>Enter an enclave.</summary>
    EENTER = 0x02,

    /// <summary>Go on with an enclave after an asynchronous exit.</summary>
    ERESUME = 0x03,

    /// <summary>Leave the enclave.</summary>
    EEXIT = 0x04,

    /// <summary>Accept a change made to a page.</summary>
    EACCEPT = 0x05,

    /// <summary>Extend permissions of a page.</summary>
    EMODPE = 0x06,

    /// <summary>Accept an added page and fill it by a copy.</summary>
    EACCEPTCOPY = 0x07,

    /// <summary>Verify a report of a trust domain.</summary>
    EVERIFYREPORT2 = 0x08,

    /// <summary>Lower the current SSA frame.</summary>
    EDECCSSA = 0x09,
}
