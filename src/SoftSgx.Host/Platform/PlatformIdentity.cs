using System.Security.Cryptography;
using SoftSgx.Processor;

namespace SoftSgx.Host.Platform;

/// <summary>One software platform: what a machine's fuses, firmware and microcode would say.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Seed">What is fused in; every key follows from it. Secret.</param>
public sealed record PlatformIdentity(string Name, ReadOnlyMemory<byte> Seed)
{
    /// <summary>The name of the platform that runs use if none is named.</summary>
    public const string DefaultName = "default";

    private const int FingerprintLength = 8;

    /// <summary>When it was made; null if that is not kept.</summary>
    public DateTimeOffset? Created { get; init; }

    /// <summary>CR_SGXOWNEREPOCH, 16 bytes; empty for the one that follows from the seed.</summary>
    public ReadOnlyMemory<byte> OwnerEpoch { get; init; }

    /// <summary>CR_CPUSVN, 16 bytes.</summary>
    public ReadOnlyMemory<byte> CpuSvn { get; init; } = PlatformSecrets.DefaultCpuSvn.ToArray();

    /// <summary>The processor has SGX1 only.</summary>
    public bool Sgx1 { get; init; }

    /// <summary>What firmware made of launch control.</summary>
    public LaunchControlSetting LaunchControl { get; init; } = LaunchControlSetting.Writable;

    /// <summary>Size or sections of the EPC as <c>softsgx run --epc</c> takes them; null for that option's default.</summary>
    public string? Epc { get; init; }

    /// <summary>The file that keeps it; null if nothing does.</summary>
    public string? File { get; init; }

    /// <summary>Why it cannot be kept beyond this run; null if it is kept, or nobody asked for that.</summary>
    public string? WhyTemporary { get; init; }

    /// <summary>Tells platforms apart and gives no key away: 16 hexadecimal digits that follow from the seed.</summary>
    public string Fingerprint
    {
        get
        {
            Span<byte> fingerprint = stackalloc byte[FingerprintLength];
            HKDF.DeriveKey(HashAlgorithmName.SHA256, Seed.Span, fingerprint, salt: "SoftSGX platform"u8, info: "fingerprint"u8);
            return Convert.ToHexStringLower(fingerprint);
        }
    }

    /// <summary>Its secrets, for a processor.</summary>
    public PlatformSecrets Secrets => PlatformSecrets.FromSeed(Seed.Span, OwnerEpoch.Span, CpuSvn.Span);

    /// <summary>A platform for throw-away runs, always the same one for the same text.</summary>
    /// <param name="text">Any text but an empty one. It is no secret.</param>
    public static PlatformIdentity FromText(string text)
    {
        ArgumentException.ThrowIfNullOrEmpty(text);
        return new PlatformIdentity("seed", System.Text.Encoding.UTF8.GetBytes(text));
    }

    /// <summary>Whether every component of a CPUSVN is at least that of another.</summary>
    public static bool IsAtLeast(ReadOnlySpan<byte> cpuSvn, ReadOnlySpan<byte> than)
    {
        for (int i = 0; i < than.Length; i++)
        {
            if (cpuSvn[i] < than[i])
            {
                return false;
            }
        }
        return true;
    }
}
