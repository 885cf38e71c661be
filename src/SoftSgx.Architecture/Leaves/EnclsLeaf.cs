namespace SoftSgx.Architecture;

/// <summary>
/// Supervisor leaf functions of SGX: the value of EAX at ENCLS.
/// SDM vol. 3D, "Intel SGX instruction set: supervisor functions".
/// </summary>
public enum EnclsLeaf : uint
{
    /// <summary>Create an enclave: make an EPC page its SECS.</summary>
    ECREATE = 0x00,

    /// <summary>Add a page to an uninitialised enclave.</summary>
    EADD = 0x01,

    /// <summary>Initialise an enclave.</summary>
    EINIT = 0x02,

    /// <summary>Free an EPC page.</summary>
    EREMOVE = 0x03,

    /// <summary>Read from a debug enclave.</summary>
    EDBGRD = 0x04,

    /// <summary>Write to a debug enclave.</summary>
    EDBGWR = 0x05,

    /// <summary>Measure 256 bytes of an uninitialised enclave.</summary>
    EEXTEND = 0x06,

    /// <summary>Load an evicted page, blocked.</summary>
    ELDB = 0x07,

    /// <summary>Load an evicted page, unblocked.</summary>
    ELDU = 0x08,

    /// <summary>Block a page: no new translations of it.</summary>
    EBLOCK = 0x09,

    /// <summary>Make an EPC page a version array.</summary>
    EPA = 0x0A,

    /// <summary>Evict an EPC page to ordinary memory.</summary>
    EWB = 0x0B,

    /// <summary>Start tracking translations of an enclave.</summary>
    ETRACK = 0x0C,

    /// <summary>Add a page to an initialised enclave.</summary>
    EAUG = 0x0D,

    /// <summary>Restrict permissions of a page.</summary>
    EMODPR = 0x0E,

    /// <summary>Change the type of a page.</summary>
    EMODT = 0x0F,

    /// <summary>Read type and state of an EPC page.</summary>
    ERDINFO = 0x10,

    /// <summary>Start tracking, reporting conflicts as errors.</summary>
    ETRACKC = 0x11,

    /// <summary>Load an evicted page, blocked, reporting conflicts as errors.</summary>
    ELDBC = 0x12,

    /// <summary>Load an evicted page, unblocked, reporting conflicts as errors.</summary>
    ELDUC = 0x13,

    /// <summary>Take a new CPUSVN into use.</summary>
    EUPDATESVN = 0x18,
}
