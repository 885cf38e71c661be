using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Host.Platform;

/// <summary>What firmware made of launch control.</summary>
public enum LaunchControlKind
{
    /// <summary>The hash registers can be written: a kernel can run any signer's enclaves. What Linux needs.</summary>
    Writable,

    /// <summary>The hash registers hold one signer's hash for good: others need a token of that signer's launch enclave.</summary>
    Locked,

    /// <summary>A processor from before flexible launch control: no such registers, and Intel's is the hash.</summary>
    Absent,
}

/// <summary>What firmware made of launch control, and whose launch enclaves count.</summary>
/// <param name="Kind">What it made of it.</param>
/// <param name="Signer">SHA-256 of the signer's modulus; Intel's unless locked to another.</param>
public sealed record LaunchControlSetting(LaunchControlKind Kind, Hash256 Signer)
{
    private const string LockedPrefix = "locked:";

    /// <summary>The hash registers can be written; they start as Intel's.</summary>
    public static LaunchControlSetting Writable { get; } = new(LaunchControlKind.Writable, Hash256.From(LogicalProcessor.IntelPubKeyHash));

    /// <summary>Reads <c>writable</c>, <c>absent</c>, <c>locked</c> (to Intel's signer) or <c>locked:HASH</c>.</summary>
    /// <param name="text">What the user wrote.</param>
    /// <param name="setting">The setting; writable if something is wrong.</param>
    /// <returns>What is wrong and what to write instead, or <see langword="null"/>.</returns>
    public static string? Parse(string text, out LaunchControlSetting setting)
    {
        ArgumentNullException.ThrowIfNull(text);
        setting = Writable;
        switch (text)
        {
            case "writable":
                return null;
            case "absent":
                setting = Writable with { Kind = LaunchControlKind.Absent };
                return null;
            case "locked":
                setting = Writable with { Kind = LaunchControlKind.Locked };
                return null;
        }
        if (!text.StartsWith(LockedPrefix, StringComparison.Ordinal))
        {
            return $"'{text}' is no state of launch control: give writable, absent, locked, or locked:HASH with the signer's MRSIGNER.";
        }
        Hash256 signer = default;
        if (!HexField.TryParse(text.AsSpan(LockedPrefix.Length), signer.AsSpan()))
        {
            return $"'{text[LockedPrefix.Length..]}' is no MRSIGNER: give 64 hexadecimal digits.";
        }
        setting = new LaunchControlSetting(LaunchControlKind.Locked, signer);
        return null;
    }

    /// <summary>A processor on which firmware has done this.</summary>
    public ProcessorConfiguration Apply(ProcessorConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        return configuration with
        {
            SgxLaunchControl = Kind != LaunchControlKind.Absent,
            FeatureControl = FeatureControl.Lock | FeatureControl.SgxEnable
                | (Kind == LaunchControlKind.Writable ? FeatureControl.SgxLaunchControl : 0),
            LePubKeyHash = Signer,
        };
    }

    /// <summary>As <see cref="Parse"/> reads it.</summary>
    public override string ToString() => Kind switch
    {
        LaunchControlKind.Writable => "writable",
        LaunchControlKind.Absent => "absent",
        _ => $"{LockedPrefix}{Signer}",
    };
}
