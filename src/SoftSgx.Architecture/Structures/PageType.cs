namespace SoftSgx.Architecture;

/// <summary>
/// Type of an EPC page.
/// SDM vol. 3D, "PAGE_TYPE field definition".
/// </summary>
public enum PageType : byte
{
    /// <summary>An enclave's control structure.</summary>
    PT_SECS = 0,

    /// <summary>A thread's control structure.</summary>
    PT_TCS = 1,

    /// <summary>An ordinary enclave page.</summary>
    PT_REG = 2,

    /// <summary>A version array.</summary>
    PT_VA = 3,

    /// <summary>A page on its way out of an enclave.</summary>
    PT_TRIM = 4,

    /// <summary>First page of a shadow stack.</summary>
    PT_SS_FIRST = 5,

    /// <summary>Any other page of a shadow stack.</summary>
    PT_SS_REST = 6,
}
