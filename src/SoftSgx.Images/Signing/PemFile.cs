using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Text;

namespace SoftSgx.Images;

/// <summary>Keys in PEM files: PKCS #1, PKCS #8 plain or encrypted, and public keys. RFC 7468, RFC 8017, RFC 5958.</summary>
internal static class PemFile
{
    /// <summary>More than any key of 3,072 bits with all that people write around it.</summary>
    private const int MaximumLength = 1 << 16;

    /// <summary>
    /// Rounds of PBKDF2 that an encrypted key may ask for: minutes would go by with more, and a key file can ask for any number.
    /// </summary>
    public const int MaximumIterations = 10_000_000;

    private const string Pkcs1Private = "RSA PRIVATE KEY";
    private const string Pkcs8Private = "PRIVATE KEY";
    private const string Pkcs8Encrypted = "ENCRYPTED PRIVATE KEY";
    private const string Pkcs1Public = "RSA PUBLIC KEY";
    private const string SubjectPublic = "PUBLIC KEY";

    /// <summary>Reads a file as text.</summary>
    /// <exception cref="ImageException">It is too long for a key.</exception>
    public static string Read(string path)
    {
        using FileStream file = File.OpenRead(path);
        byte[] bytes = new byte[MaximumLength + 1];
        int length = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        if (length > MaximumLength)
        {
            throw new ImageException($"no PEM file of a key: longer than {MaximumLength} bytes");
        }

        return Encoding.Latin1.GetString(bytes, 0, length);
    }

    /// <summary>The private key in a PEM text.</summary>
    /// <exception cref="ImageException">There is none, or it cannot be read; the message says what to do.</exception>
    public static RSA PrivateKey(string text, string? passphrase, int maximumIterations = MaximumIterations)
    {
        foreach ((string label, byte[] der) in Blocks(text))
        {
            switch (label)
            {
                case Pkcs1Private:
                    return Import($"the {label} in it is no RSA key that can be read", rsa => rsa.ImportRSAPrivateKey(der, out _));
                case Pkcs8Private:
                    return Import($"the {label} in it is no RSA key that can be read", rsa => rsa.ImportPkcs8PrivateKey(der, out _));
                case Pkcs8Encrypted when passphrase is null:
                    throw new ImageException("the key is encrypted: give its passphrase with --passphrase-file");
                case Pkcs8Encrypted:
                    CheckIterations(der, maximumIterations);
                    return Import("the encrypted key cannot be read: is the passphrase right?", rsa => rsa.ImportEncryptedPkcs8PrivateKey(passphrase, der, out _));
            }
        }

        throw new ImageException(
            text.Contains("Proc-Type: 4,ENCRYPTED", StringComparison.Ordinal)
                ? "the key is encrypted in a way of long ago: convert it by  openssl pkcs8 -topk8 -in OLD.pem -out NEW.pem"
                : text.Contains("-----BEGIN EC ", StringComparison.Ordinal)
                    ? "an elliptic-curve key: enclaves are signed by RSA-3072 of exponent 3"
                    : "no private key in PEM");
    }

    /// <summary>The public key in a PEM text, which may be half of a private one.</summary>
    /// <exception cref="ImageException">There is none, or it cannot be read.</exception>
    public static RSA PublicKey(string text)
    {
        foreach ((string label, byte[] der) in Blocks(text))
        {
            switch (label)
            {
                case Pkcs1Public:
                    return Import($"the {label} in it is no RSA key that can be read", rsa => rsa.ImportRSAPublicKey(der, out _));
                case SubjectPublic:
                    return Import($"the {label} in it is no RSA key that can be read", rsa => rsa.ImportSubjectPublicKeyInfo(der, out _));
                case Pkcs1Private or Pkcs8Private:
                    return PrivateKey(text, passphrase: null);
            }
        }

        throw new ImageException("no public key in PEM");
    }

    private static List<(string Label, byte[] Der)> Blocks(string text)
    {
        List<(string, byte[])> blocks = [];
        ReadOnlySpan<char> rest = text;
        while (PemEncoding.TryFind(rest, out PemFields fields))
        {
            byte[] der = new byte[fields.DecodedDataLength];
            if (Convert.TryFromBase64Chars(rest[fields.Base64Data], der, out int length) && length == der.Length)
            {
                blocks.Add((rest[fields.Label].ToString(), der));
            }

            rest = rest[fields.Location.End..];
        }

        return blocks;
    }

    private static RSA Import(string problem, Action<RSA> import)
    {
        RSA rsa = RSA.Create();
        try
        {
            import(rsa);
            return rsa;
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException or NotSupportedException)
        {
            rsa.Dispose();
            throw new ImageException(problem);
        }
    }

    /// <summary>EncryptedPrivateKeyInfo ::= { { PBES2, { { PBKDF2, { salt, iterations, … } }, … } }, data }; RFC 8018, appendix A.</summary>
    private static void CheckIterations(byte[] der, int maximum)
    {
        try
        {
            AsnReader algorithm = new AsnReader(der, AsnEncodingRules.BER).ReadSequence().ReadSequence();
            bool isPbes2 = algorithm.ReadObjectIdentifier() == "1.2.840.113549.1.5.13";
            AsnReader parameters = algorithm.ReadSequence();
            if (isPbes2)
            {
                AsnReader derivation = parameters.ReadSequence();
                derivation.ReadObjectIdentifier();
                parameters = derivation.ReadSequence();
            }

            parameters.ReadOctetString();
            if (!parameters.TryReadInt32(out int iterations) || iterations > maximum)
            {
                throw new ImageException($"the key's passphrase is to be hashed more than {maximum:N0} times");
            }
        }
        catch (AsnContentException)
        {
            throw new ImageException("the encrypted key in it is not well-formed");
        }
    }
}
