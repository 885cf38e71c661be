using System.Security.Cryptography;
using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>The key of an enclave's author: RSA-3072 with exponent 3. SDM vol. 3D, "Enclave signature structure (SIGSTRUCT)".</summary>
public sealed class SigningKey : IDisposable
{
    private readonly RSA _rsa;

    private SigningKey(RSA rsa, bool isPrivate)
    {
        _rsa = rsa;
        IsPrivate = isPrivate;
        RSAParameters parameters = rsa.ExportParameters(includePrivateParameters: false);
        byte[] modulus = parameters.Modulus!;
        int bits = modulus.Length * 8 - (modulus.Length > 0 ? byte.LeadingZeroCount(modulus[0]) : 0);
        if (bits != 8 * Bytes384.Size)
        {
            throw new ImageException($"the key has {bits} bits: enclaves are signed by RSA of 3072; softsgx keygen makes such a key");
        }

        if (!parameters.Exponent.AsSpan().TrimStart((byte)0).SequenceEqual([(byte)SigStruct.RequiredExponent]))
        {
            throw new ImageException(
                "the key's public exponent is not 3: softsgx keygen makes such a key, and so does  openssl genrsa -3 3072");
        }

        modulus.CopyTo(Modulus.AsSpan());
        Modulus.AsSpan().Reverse();
    }

    /// <summary>The modulus, little-endian as in SIGSTRUCT.</summary>
#pragma warning disable CA1051 // Bytes of a structure, read in place.
    internal readonly Bytes384 Modulus;
#pragma warning restore CA1051

    /// <summary>True if it can sign, and not only tell who signed.</summary>
    public bool IsPrivate { get; }

    /// <summary>MRSIGNER of what the key signs.</summary>
    public Hash256 MrSigner => Hash256.From(SHA256.HashData(Modulus.AsReadOnlySpan()));

    /// <summary>Makes a new key.</summary>
    /// <param name="progress">Is told now and then how far it may be, from 0 to 1.</param>
    public static SigningKey Generate(Action<double>? progress = null) => FromParameters(KeyGenerator.Generate(progress));

    /// <summary>Reads a private key from a PEM file: PKCS #1, or PKCS #8 plain or encrypted.</summary>
    /// <param name="path">The file.</param>
    /// <param name="passphrase">Of an encrypted one.</param>
    /// <exception cref="ImageException">It holds no private key, or one that cannot sign enclaves.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static SigningKey ReadPrivate(string path, string? passphrase = null) => ParsePrivate(PemFile.Read(path), passphrase);

    /// <summary>Reads a public key from a PEM file.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="ImageException">It holds no public key, or one that no enclave is signed by.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static SigningKey ReadPublic(string path) => ParsePublic(PemFile.Read(path));

    /// <summary>The private key in a PEM text.</summary>
    internal static SigningKey ParsePrivate(string text, string? passphrase = null, int maximumIterations = PemFile.MaximumIterations) =>
        Own(PemFile.PrivateKey(text, passphrase, maximumIterations), isPrivate: true);

    /// <summary>The public key in a PEM text.</summary>
    internal static SigningKey ParsePublic(string text) => Own(PemFile.PublicKey(text), isPrivate: false);

    /// <summary>The key of these numbers.</summary>
    internal static SigningKey FromParameters(RSAParameters parameters)
    {
        RSA rsa = RSA.Create();
        rsa.ImportParameters(parameters);
        return Own(rsa, isPrivate: true);
    }

    /// <summary>The private key as PEM, PKCS #8 and not encrypted.</summary>
    public string ExportPrivatePem() => _rsa.ExportPkcs8PrivateKeyPem() + "\n";

    /// <summary>The private key as PEM, PKCS #8, encrypted with AES-256 under a passphrase.</summary>
    /// <param name="passphrase">What it is read with again.</param>
    public string ExportEncryptedPem(string passphrase)
    {
        PbeParameters parameters = new(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, iterationCount: 600_000);
        return _rsa.ExportEncryptedPkcs8PrivateKeyPem(passphrase, parameters) + "\n";
    }

    /// <summary>The public key as PEM.</summary>
    public string ExportPublicPem() => _rsa.ExportSubjectPublicKeyInfoPem() + "\n";

    /// <summary>Signs a digest as SIGSTRUCT wants it: PKCS #1 v1.5.</summary>
    /// <param name="digest">SHA-256 of header and body.</param>
    /// <returns>384 bytes, big-endian.</returns>
    /// <exception cref="ImageException">The parts of the key do not belong together.</exception>
    internal byte[] Sign(in Hash256 digest)
    {
        try
        {
            return _rsa.SignHash(digest.AsReadOnlySpan().ToArray(), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        }
        catch (CryptographicException)
        {
            throw new ImageException("the key cannot sign: its parts do not belong together");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _rsa.Dispose();

    private static SigningKey Own(RSA rsa, bool isPrivate)
    {
        try
        {
            return new SigningKey(rsa, isPrivate);
        }
        catch (CryptographicException)
        {
            rsa.Dispose();
            throw new ImageException("the key is no RSA key that can be used");
        }
        catch
        {
            rsa.Dispose();
            throw;
        }
    }
}
