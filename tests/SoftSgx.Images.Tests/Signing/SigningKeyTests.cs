using System.Numerics;
using System.Security.Cryptography;
using System.Text;
using SoftSgx.Images.Tests.Fuzz;
using Xunit.Abstractions;

namespace SoftSgx.Images.Tests;

/// <summary>Keys: made, written, read, and refused.</summary>
public sealed class SigningKeyTests(ITestOutputHelper output)
{
    [Fact]
    public void A_new_key_is_of_two_good_primes()
    {
        RSAParameters key = KeyGenerator.Generate();
        BigInteger p = Number(key.P!);
        BigInteger q = Number(key.Q!);
        BigInteger d = Number(key.D!);

        Assert.Equal(p * q, Number(key.Modulus!));
        Assert.Equal(3072, Number(key.Modulus!).GetBitLength());
        Assert.True(MillerRabin.IsPrime(p) && MillerRabin.IsPrime(q));
        Assert.Equal((2, 2), ((int)(p % 3), (int)(q % 3)));
        Assert.True(KeyGenerator.AreFarApart(p, q));
        Assert.Equal(BigInteger.One, 3 * d % (p - 1));
        Assert.Equal(BigInteger.One, 3 * d % (q - 1));
        Assert.Equal(BigInteger.One, Number(key.InverseQ!) * q % p);
        Assert.True(d < (p - 1) * (q - 1) / 2, "d is not the least one");
        Assert.Equal(3, Number(key.Exponent!));
    }

    [Fact]
    public void Primes_near_each_other_are_not_far_apart()
    {
        BigInteger p = BigInteger.One << 1535;

        Assert.False(KeyGenerator.AreFarApart(p, p + (BigInteger.One << 1436)));
        Assert.True(KeyGenerator.AreFarApart(p, p + (BigInteger.One << 1436) + 1));
    }

    [Fact]
    public void Miller_rabin_agrees_with_trial_division()
    {
        for (int n = 0; n < 5000; n++)
        {
            bool isPrime = n > 1 && Enumerable.Range(2, Math.Max(0, (int)Math.Sqrt(n) - 1)).All(divisor => n % divisor != 0);
            Assert.True(isPrime == MillerRabin.IsPrime(n), $"{n}");
        }
    }

    [Theory]
    [InlineData("340561")]                          // Carmichael
    [InlineData("3825123056546413051")]             // strong pseudoprime to the first nine primes
    [InlineData("318665857834031151167461")]        // to the first twelve
    [InlineData("3317044064679887385961981")]       // to the first thirteen
    public void Composites_that_look_prime_are_found_out(string number) => Assert.False(MillerRabin.IsPrime(BigInteger.Parse(number)));

    [Theory]
    [InlineData(521)]
    [InlineData(607)]
    [InlineData(1279)]
    public void Mersenne_primes_are_prime(int exponent)
    {
        Assert.True(MillerRabin.IsPrime((BigInteger.One << exponent) - 1));
        Assert.False(MillerRabin.IsPrime((BigInteger.One << (exponent + 2)) - 1) && exponent != 607);
    }

    [Fact]
    public void A_key_is_read_as_it_was_written()
    {
        SigningKey key = Keys.First;

        Assert.Equal(key.MrSigner, SigningKey.ParsePrivate(key.ExportPrivatePem()).MrSigner);
        Assert.Equal(key.MrSigner, SigningKey.ParsePrivate(key.ExportEncryptedPem("open, sesame"), "open, sesame").MrSigner);
        Assert.Equal(key.MrSigner, SigningKey.ParsePublic(key.ExportPublicPem()).MrSigner);
        Assert.Equal(key.MrSigner, SigningKey.ParsePublic(key.ExportPrivatePem()).MrSigner);
    }

    [Fact]
    public void Pkcs1_is_read_and_other_text_around_it()
    {
        using RSA rsa = RSA.Create();
        rsa.ImportFromPem(Keys.First.ExportPrivatePem());

        Assert.Equal(Keys.First.MrSigner, SigningKey.ParsePrivate($"a comment\n{rsa.ExportRSAPrivateKeyPem()}\nmore").MrSigner);
        Assert.Equal(Keys.First.MrSigner, SigningKey.ParsePrivate(Keys.Second.ExportPublicPem() + rsa.ExportRSAPrivateKeyPem()).MrSigner);
        Assert.Equal(Keys.First.MrSigner, SigningKey.ParsePublic(rsa.ExportRSAPublicKeyPem()).MrSigner);
    }

    [Theory]
    [InlineData("exponent", "exponent is not 3")]
    [InlineData("size", "2048 bits")]
    [InlineData("encrypted", "--passphrase-file")]
    [InlineData("passphrase", "passphrase right?")]
    [InlineData("old", "openssl pkcs8 -topk8")]
    [InlineData("ec", "elliptic-curve")]
    [InlineData("ec8", "no RSA key")]
    [InlineData("public", "no private key")]
    [InlineData("empty", "no private key")]
    [InlineData("damaged", "no RSA key that can be read")]
    public void A_key_that_cannot_sign_enclaves_says_why(string what, string why)
    {
        (string text, string? passphrase) = what switch
        {
            "exponent" => (Pem(3072), null),
            "size" => (Pem(2048), null),
            "encrypted" => (Keys.First.ExportEncryptedPem("a"), null),
            "passphrase" => (Keys.First.ExportEncryptedPem("a"), "b"),
            "old" => ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", null),
            "ec" => ("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", null),
            "ec8" => (EcPem(), null),
            "public" => (Keys.First.ExportPublicPem(), null),
            "damaged" => ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", (string?)null),
            _ => ("", null),
        };

        ImageException e = Assert.Throws<ImageException>(() => SigningKey.ParsePrivate(text, passphrase));

        Assert.Contains(why, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_key_of_parts_that_do_not_belong_together_signs_nothing()
    {
        using RSA rsa = RSA.Create();
        rsa.ImportFromPem(Keys.First.ExportPrivatePem());
        RSAParameters parts = rsa.ExportParameters(true);
        parts.DP![100] ^= 1;
        Architecture.SigStruct sig = SigStructSigner.Template();

        // It is refused when it is read, or when it signs; what must not be is a signature that gives a prime away.
        Assert.Throws<ImageException>(() =>
        {
            using RSA damaged = RSA.Create();
            try
            {
                damaged.ImportParameters(parts);
            }
            catch (CryptographicException)
            {
                throw new ImageException("refused by the platform");
            }

            SigStructSigner.Sign(ref sig, SigningKey.FromParameters(parts));
        });
        Assert.True(sig.Signature.IsZero);
    }

    [Fact]
    public void A_passphrase_is_not_hashed_for_hours()
    {
        byte[] der = PemBytes(Keys.First.ExportEncryptedPem("a"));
        int iterations = der.AsSpan().IndexOf(new byte[] { 0x02, 0x03, 0x09, 0x27, 0xC0 });
        Assert.True(iterations > 0, "600,000 rounds do not stand in the key");
        der.AsSpan(iterations + 2, 3).Fill(0x7F);
        Assert.Contains(
            "hashed more than",
            Assert.Throws<ImageException>(() => SigningKey.ParsePrivate(PemEncoding.WriteString("ENCRYPTED PRIVATE KEY", der), "a", maximumIterations: 8_000_000)).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("PRIVATE KEY")]
    [InlineData("PUBLIC KEY")]
    [InlineData("ENCRYPTED PRIVATE KEY")]
    [InlineData("ENCRYPTED PRIVATE KEY", "3DES")]
    [InlineData("RSA PRIVATE KEY")]
    [InlineData("RSA PUBLIC KEY")]
    [InlineData("EC PRIVATE KEY")]
    public void Damaged_keys_are_refused_in_one_way(string label, string cipher = "AES")
    {
        const int ShortRun = 600, LongRun = 100_000;
        const long MostAllocated = 32 << 20;
        string text = KeyText(label, cipher);
        byte[] der = PemBytes(text);
        int cases = Environment.GetEnvironmentVariable("SOFTSGX_SOAK") == "1" ? LongRun : ShortRun;
        int read = 0;
        for (int seed = 1; seed <= cases; seed++)
        {
            Random random = new(seed);
            string damaged = random.Next(3) switch
            {
                0 => Encoding.Latin1.GetString(Mutation.Of(Encoding.Latin1.GetBytes(text), random)),
                1 => PemEncoding.WriteString(label, Mutation.Of(der, random)),
                _ => PemEncoding.WriteString(label, WithOtherBytes(der, random)),
            };
            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                bool isPublic = label.Contains("PUBLIC", StringComparison.Ordinal);
                using SigningKey key = isPublic ? SigningKey.ParsePublic(damaged) : SigningKey.ParsePrivate(damaged, "a", maximumIterations: 10_000);
                read++;
                Architecture.SigStruct sig = SigStructSigner.Template();
                if (key.IsPrivate)
                {
                    SigStructSigner.Sign(ref sig, key);
                    Assert.True(Processor.EnclaveSignature.Verify(in sig), $"seed {seed}: a signature that does not hold");
                }
            }
            catch (ImageException e)
            {
                Assert.DoesNotContain('\n', e.Message);
                Assert.InRange(e.Message.Length, 10, 400);
            }
            catch (Exception e) when (e is not Xunit.Sdk.XunitException)
            {
                throw new InvalidOperationException($"{label}, seed {seed}: {e.GetType().Name}", e);
            }

            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MostAllocated);
        }

        output.WriteLine($"{label}, {cipher}: {cases:N0} cases, {read:N0} of them keys");
    }

    private static BigInteger Number(byte[] bigEndian) => new(bigEndian, isUnsigned: true, isBigEndian: true);

    private static string Pem(int bits)
    {
        using RSA rsa = RSA.Create(bits);
        return rsa.ExportPkcs8PrivateKeyPem();
    }

    /// <summary>A key in that form; few rounds for its passphrase, so that many cases are tried.</summary>
    private static string KeyText(string label, string cipher)
    {
        using RSA rsa = RSA.Create();
        rsa.ImportFromPem(Keys.First.ExportPrivatePem());
        using ECDsa curve = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return label switch
        {
            "PRIVATE KEY" => rsa.ExportPkcs8PrivateKeyPem(),
            "PUBLIC KEY" => rsa.ExportSubjectPublicKeyInfoPem(),
            "RSA PRIVATE KEY" => rsa.ExportRSAPrivateKeyPem(),
            "RSA PUBLIC KEY" => rsa.ExportRSAPublicKeyPem(),
            "EC PRIVATE KEY" => curve.ExportECPrivateKeyPem(),
            _ => rsa.ExportEncryptedPkcs8PrivateKeyPem("a", cipher == "AES"
                ? new PbeParameters(PbeEncryptionAlgorithm.Aes128Cbc, HashAlgorithmName.SHA256, 100)
                : new PbeParameters(PbeEncryptionAlgorithm.TripleDes3KeyPkcs12, HashAlgorithmName.SHA1, 100)),
        };
    }

    private static string EcPem()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return key.ExportPkcs8PrivateKeyPem();
    }

    private static byte[] PemBytes(string text)
    {
        PemFields fields = PemEncoding.Find(text);
        return Convert.FromBase64String(text[fields.Base64Data]);
    }

    // Most such keys can be read, and are wrong in a number.
    private static byte[] WithOtherBytes(byte[] bytes, Random random)
    {
        byte[] damaged = [.. bytes];
        for (int i = random.Next(1, 4); i > 0; i--)
        {
            damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
        }

        return damaged;
    }
}
