namespace SoftSgx.Images;

/// <summary>Something that a reviewer would want to know before the enclave is released.</summary>
/// <param name="Code">What kind, stable for scripts: one of this type's constants.</param>
/// <param name="Message">What, for people, without a full stop.</param>
public sealed record ReviewWarning(string Code, string Message)
{
    /// <summary>The signature allows the DEBUG attribute.</summary>
    public const string DebugAllowed = "debug-allowed";

    /// <summary>Pages are both writable and executable.</summary>
    public const string WritableExecutable = "writable-executable";

    /// <summary>Executable pages are not measured, or not wholly.</summary>
    public const string UnmeasuredExecutable = "unmeasured-executable";

    /// <summary>The signer's key is public.</summary>
    public const string TestKey = "test-key";

    /// <summary>The signature's date is no date, or lies where it should not.</summary>
    public const string OddDate = "odd-date";

    /// <summary>The signature asks for the PROVISION_KEY attribute.</summary>
    public const string ProvisionKey = "provision-key";

    /// <summary>The signature asks for the EINITTOKEN_KEY attribute.</summary>
    public const string EInitTokenKey = "einittoken-key";

    /// <summary>The signature is not right.</summary>
    public const string InvalidSignature = "invalid-signature";

    /// <summary>The signature is right but its quotients q1 and q2 are not.</summary>
    public const string WrongQuotients = "wrong-quotients";

    /// <summary>A reserved field is not zero, or a constant one not what it must be.</summary>
    public const string Malformed = "malformed";

    /// <summary>The security version is 0.</summary>
    public const string SvnZero = "svn-zero";

    /// <summary>Code is changed by relocations.</summary>
    public const string TextRelocations = "text-relocations";

    /// <summary>There is no signature.</summary>
    public const string Unsigned = "unsigned";

    /// <summary>A setting whose own documents call it insecure.</summary>
    public const string InsecureSetting = "insecure-setting";
}
