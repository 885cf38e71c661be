using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace SoftSgx.Host.Platform;

/// <summary>
/// A platform as its file keeps it: JSON with a SHA-256 over all that matters, so that a file that was cut, edited or hit by a bad disk is
/// noticed before it makes other keys.
/// </summary>
internal sealed record PlatformFile
{
    /// <summary>No file of ours is larger; a larger one is not read.</summary>
    internal const int MaximumSize = 64 * 1024;

    private const int CurrentVersion = 1;
    private const int SeedSize = 32, RegisterSize = 16;

    /// <summary>Raised when a reader of today could not read the file.</summary>
    [JsonPropertyName("softsgx-platform")]
    public int Version { get; init; } = CurrentVersion;

    public string? Name { get; init; }

    public string? Created { get; init; }

    public string? Seed { get; init; }

    public string? OwnerEpoch { get; init; }

    public string? CpuSvn { get; init; }

    public bool Sgx1 { get; init; }

    public string? LaunchControl { get; init; }

    public string? Epc { get; init; }

    /// <summary>SHA-256 of the other fields.</summary>
    public string? Check { get; init; }

    /// <summary>The file's bytes.</summary>
    internal static byte[] Write(PlatformIdentity platform)
    {
        PlatformFile file = new()
        {
            Name = platform.Name,
            Created = platform.Created?.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture),
            Seed = Convert.ToHexStringLower(platform.Seed.Span),
            OwnerEpoch = platform.OwnerEpoch.IsEmpty ? null : Convert.ToHexStringLower(platform.OwnerEpoch.Span),
            CpuSvn = Convert.ToHexStringLower(platform.CpuSvn.Span),
            Sgx1 = platform.Sgx1,
            LaunchControl = platform.LaunchControl.ToString(),
            Epc = platform.Epc,
        };
        return [.. JsonSerializer.SerializeToUtf8Bytes(file with { Check = file.Digest() }, PlatformJson.Default.PlatformFile), (byte)'\n'];
    }

    /// <summary>Reads a platform.</summary>
    /// <param name="bytes">The file.</param>
    /// <param name="name">The name that it should have.</param>
    /// <param name="problem">What is wrong with it.</param>
    /// <returns>The platform; null if the file is damaged.</returns>
    internal static PlatformIdentity? Read(ReadOnlySpan<byte> bytes, string name, out string problem)
    {
        PlatformFile? file;
        try
        {
            file = JsonSerializer.Deserialize(bytes, PlatformJson.Default.PlatformFile);
        }
        catch (JsonException e)
        {
            problem = $"line {(e.LineNumber ?? 0) + 1} is no JSON that belongs there";
            return null;
        }
        problem = "";
        byte[] seed = new byte[SeedSize], ownerEpoch = new byte[RegisterSize], cpuSvn = new byte[RegisterSize];
        LaunchControlSetting launchControl = LaunchControlSetting.Writable;
        DateTimeOffset created = default;
        problem = file is null ? "it says null"
            : file.Version != CurrentVersion ? $"it has version {file.Version} of the format, this softsgx knows version {CurrentVersion}"
            : file.Check != file.Digest() ? "its check sum does not fit"
            : file.Name != name ? "it belongs to a platform of another name"
            : !HexField.TryParse(file.Seed, seed) ? "its seed does not have 64 hexadecimal digits"
            : file.OwnerEpoch is not null && !HexField.TryParse(file.OwnerEpoch, ownerEpoch)
                ? "its owner epoch does not have 32 hexadecimal digits"
            : !HexField.TryParse(file.CpuSvn, cpuSvn) ? "its CPUSVN does not have 32 hexadecimal digits"
            : LaunchControlSetting.Parse(file.LaunchControl ?? "", out launchControl) is not null ? "its launch control is none"
            : file.Created is not null && !DateTimeOffset.TryParse(file.Created, CultureInfo.InvariantCulture, out created)
                ? "its date is none"
            : "";
        return problem.Length > 0 ? null : new PlatformIdentity(name, seed)
        {
            Created = file!.Created is null ? null : created,
            OwnerEpoch = file.OwnerEpoch is null ? default : ownerEpoch,
            CpuSvn = cpuSvn,
            Sgx1 = file.Sgx1,
            LaunchControl = launchControl,
            Epc = file.Epc,
        };
    }

    private string Digest()
    {
        string?[] fields = [Name, Created, Seed, OwnerEpoch, CpuSvn, Sgx1 ? "1" : "0", LaunchControl, Epc];
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', fields))));
    }
}

/// <summary>Writes and reads the file without reflection.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    WriteIndented = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PlatformFile))]
internal sealed partial class PlatformJson : JsonSerializerContext;
