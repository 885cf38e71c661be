using System.Security.Cryptography;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// What makes one platform's keys its own: fused secrets, owner epoch and security version.
/// SDM vol. 3D, EGETKEY (key derivation material).
/// </summary>
#pragma warning disable CA1001 // The cipher holds managed memory only and lives as long as the platform.
public sealed class PlatformSecrets
#pragma warning restore CA1001
{
    /// <summary>Length in bytes of a seed made by <see cref="CreateRandom"/>.</summary>
    public const int SeedLength = 32;

    private readonly byte[] _seed;
    private readonly Key128 _rootProvisioningKey;
    private readonly Key128 _rootSealKey;
    private readonly Bytes16 _ownerEpoch;
    private Bytes16 _cpuSvn;
    private Bytes16 _loadedCpuSvn;
    private readonly Bytes32 _reportKeyId;
    private readonly AesCmac _derivation;

    private PlatformSecrets(ReadOnlySpan<byte> seed, ReadOnlySpan<byte> ownerEpoch, ReadOnlySpan<byte> cpuSvn)
    {
        _seed = seed.ToArray();
        Expand("root provisioning key"u8, _rootProvisioningKey.AsSpan());
        Expand("root seal key"u8, _rootSealKey.AsSpan());
        if (ownerEpoch.IsEmpty)
        {
            Expand("owner epoch"u8, _ownerEpoch.AsSpan());
        }
        else
        {
            _ownerEpoch = Bytes16.From(ownerEpoch);
        }

        Expand("report key id"u8, _reportKeyId.AsSpan());
        _cpuSvn = Bytes16.From(cpuSvn.IsEmpty ? DefaultCpuSvn : cpuSvn);
        _loadedCpuSvn = _cpuSvn;
        _derivation = new AesCmac(_rootProvisioningKey.AsReadOnlySpan());
    }

    /// <summary>The secret that this platform's provisioning keys come from; 16 bytes. Known to the maker of the platform.</summary>
    public ReadOnlySpan<byte> RootProvisioningKey => _rootProvisioningKey.AsReadOnlySpan();

    /// <summary>The secret that enters every key but the provisioning key; 16 bytes. Known to nobody outside.</summary>
    public ReadOnlySpan<byte> RootSealKey => _rootSealKey.AsReadOnlySpan();

    /// <summary>CR_SGXOWNEREPOCH: changing it makes all of the owner's keys new; 16 bytes.</summary>
    public ReadOnlySpan<byte> OwnerEpoch => _ownerEpoch.AsReadOnlySpan();

    /// <summary>
    /// CR_CPUSVN: sixteen components of one byte; a smaller value of each is an older one. Only EUPDATESVN changes it, while no
    /// enclave is there.
    /// </summary>
    public ReadOnlySpan<byte> CpuSvn => _cpuSvn.AsReadOnlySpan();

    /// <summary>CR_REPORT_KEYID: wear-out protection of the report key; 32 bytes.</summary>
    public ReadOnlySpan<byte> ReportKeyId => _reportKeyId.AsReadOnlySpan();

    /// <summary>What <see cref="FromSeed(ReadOnlySpan{byte})"/> makes this platform of again. Keep it as secret as the keys.</summary>
    public ReadOnlySpan<byte> Seed => _seed;

    /// <summary>The CPUSVN of a platform that nobody chose one for; 16 bytes.</summary>
    public static ReadOnlySpan<byte> DefaultCpuSvn => [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    /// <summary>The platform that belongs to <paramref name="seed"/>: always the same one.</summary>
    /// <exception cref="ArgumentException">The seed is empty.</exception>
    public static PlatformSecrets FromSeed(ReadOnlySpan<byte> seed) => FromSeed(seed, default, default);

    /// <summary>The platform that belongs to a seed, an owner epoch and a CPUSVN.</summary>
    /// <param name="seed">What is fused in: all keys depend on it.</param>
    /// <param name="ownerEpoch">
    /// CR_SGXOWNEREPOCH, 16 bytes, as firmware sets it; empty for one that follows from the seed. All keys but the provisioning keys depend
    /// on it.
    /// </param>
    /// <param name="cpuSvn">CR_CPUSVN, 16 bytes; empty for <see cref="DefaultCpuSvn"/>.</param>
    /// <exception cref="ArgumentException">The seed is empty, or another value has a wrong length.</exception>
    public static PlatformSecrets FromSeed(ReadOnlySpan<byte> seed, ReadOnlySpan<byte> ownerEpoch, ReadOnlySpan<byte> cpuSvn)
    {
        if (seed.IsEmpty)
        {
            throw new ArgumentException("a platform needs a seed", nameof(seed));
        }

        if (ownerEpoch.Length is not (0 or Bytes16.Size))
        {
            throw new ArgumentException("an owner epoch has 16 bytes", nameof(ownerEpoch));
        }

        if (cpuSvn.Length is not (0 or Bytes16.Size))
        {
            throw new ArgumentException("a CPUSVN has 16 bytes", nameof(cpuSvn));
        }

        return new PlatformSecrets(seed, ownerEpoch, cpuSvn);
    }

    /// <summary>A platform that there was none like before.</summary>
    public static PlatformSecrets CreateRandom()
    {
        Span<byte> seed = stackalloc byte[SeedLength];
        RandomNumberGenerator.Fill(seed);
        return new PlatformSecrets(seed, default, default);
    }

    /// <summary>Loads a microcode update: EUPDATESVN takes its version into use if it is a newer one.</summary>
    /// <param name="cpuSvn">CPUSVN of the update, 16 bytes.</param>
    public void LoadMicrocode(ReadOnlySpan<byte> cpuSvn) => _loadedCpuSvn = Bytes16.From(cpuSvn);

    /// <summary>
    /// Takes the version of the microcode loaded into use. The caller has made sure that there is no enclave.
    /// </summary>
    /// <returns>False if that version is not newer.</returns>
    internal bool TryUpdateCpuSvn()
    {
        bool isOlder = false;
        for (int i = 0; i < Bytes16.Size; i++)
        {
            isOlder |= _loadedCpuSvn[i] < _cpuSvn[i];
        }

        if (isOlder || !IsBeyondCpuSvn(in _loadedCpuSvn))
        {
            return false;
        }

        _cpuSvn = _loadedCpuSvn;
        return true;
    }

    /// <summary>
    /// True if <paramref name="cpuSvn"/> is no version of this platform: some component of it is newer.
    /// SDM vol. 3D, EGETKEY ("beyond current CPU configuration").
    /// </summary>
    internal bool IsBeyondCpuSvn(in Bytes16 cpuSvn)
    {
        ReadOnlySpan<byte> asked = cpuSvn.AsReadOnlySpan();
        for (int i = 0; i < asked.Length; i++)
        {
            if (asked[i] > CpuSvn[i])
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// The key that belongs to <paramref name="dependencies"/> on this platform.
    /// SDM vol. 3D, EGETKEY (derivekey).
    /// </summary>
    internal Key128 DeriveKey(in KeyDependencies dependencies) => _derivation.Compute(Bytes.Of(in dependencies));

    private void Expand(ReadOnlySpan<byte> purpose, Span<byte> destination)
    {
        HKDF.DeriveKey(HashAlgorithmName.SHA256, _seed, destination, salt: "SoftSGX platform"u8, info: purpose);
    }
}
