namespace SoftSgx.Architecture;

/// <summary>
/// Error codes that leaf functions return in RAX.
/// SDM vol. 3D, "Information and error codes".
/// </summary>
public enum SgxError : uint
{
    /// <summary>The leaf succeeded.</summary>
    SGX_SUCCESS = 0,

    /// <summary>SIGSTRUCT contains an invalid value.</summary>
    SGX_INVALID_SIG_STRUCT = 1,

    /// <summary>The enclave lacks an attribute or has one that does not match.</summary>
    SGX_INVALID_ATTRIBUTE = 2,

    /// <summary>EBLOCK: the page is blocked already.</summary>
    SGX_BLKSTATE = 3,

    /// <summary>SIGSTRUCT or EINITTOKEN names another measurement.</summary>
    SGX_INVALID_MEASUREMENT = 4,

    /// <summary>EBLOCK: pages of this type are never blocked.</summary>
    SGX_NOTBLOCKABLE = 5,

    /// <summary>EBLOCK: the EPC page is not valid.</summary>
    SGX_PG_INVLD = 6,

    /// <summary>Another leaf holds the EPC page.</summary>
    SGX_EPC_PAGE_CONFLICT = 7,

    /// <summary>SIGSTRUCT's signature does not verify.</summary>
    SGX_INVALID_SIGNATURE = 8,

    /// <summary>ELDB/ELDU: the evicted page was changed or is stale.</summary>
    SGX_MAC_COMPARE_FAIL = 9,

    /// <summary>EWB: the page is not blocked.</summary>
    SGX_PAGE_NOT_BLOCKED = 10,

    /// <summary>A logical processor may still hold a translation of the page.</summary>
    SGX_NOT_TRACKED = 11,

    /// <summary>EWB: the version-array slot is in use.</summary>
    SGX_VA_SLOT_OCCUPIED = 12,

    /// <summary>The SECS still has pages.</summary>
    SGX_CHILD_PRESENT = 13,

    /// <summary>A logical processor executes inside the enclave.</summary>
    SGX_ENCLAVE_ACT = 14,

    /// <summary>An entry into the enclave is under way.</summary>
    SGX_ENTRYEPOCH_LOCKED = 15,

    /// <summary>EINITTOKEN is not authentic or does not fit the enclave.</summary>
    SGX_INVALID_EINITTOKEN = 16,

    /// <summary>ETRACK: the tracking started last is not complete.</summary>
    SGX_PREV_TRK_INCMPL = 17,

    /// <summary>EBLOCK: the page is a SECS.</summary>
    SGX_PG_IS_SECS = 18,

    /// <summary>The page's EPCM attributes differ from the ones expected.</summary>
    SGX_PAGE_ATTRIBUTES_MISMATCH = 19,

    /// <summary>The page cannot be modified in its present state.</summary>
    SGX_PAGE_NOT_MODIFIABLE = 20,

    /// <summary>The page cannot be read or written by a debugger in its present state.</summary>
    SGX_PAGE_NOT_DEBUGGABLE = 21,

    /// <summary>A reference counter would leave its range.</summary>
    SGX_INVALID_COUNTER = 25,

    /// <summary>The page is not in the EPC.</summary>
    SGX_PG_NONEPC = 26,

    /// <summary>The page type needs no tracking.</summary>
    SGX_TRACK_NOT_REQUIRED = 27,

    /// <summary>EUPDATESVN: the random number generator has too little entropy now.</summary>
    SGX_INSUFFICIENT_ENTROPY = 29,

    /// <summary>EUPDATESVN: a page of the EPC is in use.</summary>
    SGX_EPC_NOT_READY = 30,

    /// <summary>EUPDATESVN: there is no newer CPUSVN.</summary>
    SGX_NO_UPDATE = 31,

    /// <summary>The CPUSVN asked for is beyond the processor's.</summary>
    SGX_INVALID_CPUSVN = 32,

    /// <summary>The ISVSVN or CONFIGSVN asked for is beyond the enclave's.</summary>
    SGX_INVALID_ISVSVN = 64,

    /// <summary>An unmasked event was recognised while the leaf ran: try again.</summary>
    SGX_UNMASKED_EVENT = 128,

    /// <summary>The key name is not known.</summary>
    SGX_INVALID_KEYNAME = 256,
}
