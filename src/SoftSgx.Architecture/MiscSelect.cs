namespace SoftSgx.Architecture;

/// <summary>
/// Which extended information an asynchronous exit writes into the MISC region of the SSA frame.
/// SDM vol. 3D, "MISCSELECT" (bit vector of the MISC region).
/// </summary>
[Flags]
public enum MiscSelect : uint
{
    /// <summary>Nothing beyond GPRSGX.</summary>
    None = 0,

    /// <summary>Address and error code of page faults and general-protection faults.</summary>
    EXINFO = 1u << 0,

    /// <summary>Error code of control-protection faults.</summary>
    CPINFO = 1u << 1,
}
