namespace SoftSgx.Architecture;

/// <summary>
/// The low 64 bits of ATTRIBUTES: what an enclave is and may do.
/// SDM vol. 3D, "ATTRIBUTES" (layout of the ATTRIBUTES structure).
/// </summary>
[Flags]
public enum AttributeFlags : ulong
{
    /// <summary>No attribute.</summary>
    None = 0,

    /// <summary>The enclave has been initialised by EINIT. Only the processor sets it.</summary>
    INIT = 1UL << 0,

    /// <summary>A debugger may read and write enclave memory.</summary>
    DEBUG = 1UL << 1,

    /// <summary>The enclave runs in 64-bit mode.</summary>
    MODE64BIT = 1UL << 2,

    /// <summary>EGETKEY gives the provisioning keys.</summary>
    PROVISIONKEY = 1UL << 4,

    /// <summary>EGETKEY gives the launch key, under which EINITTOKENs are authenticated.</summary>
    EINITTOKEN_KEY = 1UL << 5,

    /// <summary>Control-flow enforcement inside the enclave.</summary>
    CET = 1UL << 6,

    /// <summary>Key separation and sharing: CONFIGID, CONFIGSVN, ISVEXTPRODID and ISVFAMILYID take part in keys and reports.</summary>
    KSS = 1UL << 7,

    /// <summary>Threads may ask to be notified of asynchronous exits.</summary>
    AEXNOTIFY = 1UL << 10,
}
