using System.Numerics;
using System.Security.Cryptography;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Bench.Processor;

/// <summary>Signs enclaves with a fresh key. The runtime makes no keys of exponent 3, so primes come from keys of its own.</summary>
internal sealed class BenchSigner
{
    private readonly BigInteger _modulus;
    private readonly BigInteger _secret;

    public BenchSigner()
    {
        BigInteger p = Prime();
        BigInteger q = Prime();
        BigInteger phi = (p - 1) * (q - 1);
        _modulus = p * q;
        _secret = (1 + ((phi % 3 == 2 ? 1 : 2) * phi)) / 3;
    }

    /// <summary>Fills in header, key and signature of a SIGSTRUCT whose body is complete.</summary>
    public void Sign(ref SigStruct sig)
    {
        sig.Header = Bytes16.From(SigStruct.HeaderConstant);
        sig.Header2 = Bytes16.From(SigStruct.Header2Constant);
        sig.Exponent = SigStruct.RequiredExponent;
        Write(_modulus, ref sig.Modulus);
        BigInteger message = new(EnclaveSignature.EncodedMessage(in sig), isUnsigned: true, isBigEndian: true);
        BigInteger signature = BigInteger.ModPow(message, _secret, _modulus);
        BigInteger q1 = BigInteger.DivRem(signature * signature, _modulus, out BigInteger square);
        Write(signature, ref sig.Signature);
        Write(q1, ref sig.Q1);
        Write(square * signature / _modulus, ref sig.Q2);
    }

    private static BigInteger Prime()
    {
        while (true)
        {
            using RSA rsa = RSA.Create(3072);
            RSAParameters parameters = rsa.ExportParameters(includePrivateParameters: true);
            foreach (byte[] bytes in new[] { parameters.P!, parameters.Q! })
            {
                BigInteger prime = new(bytes, isUnsigned: true, isBigEndian: true);
                if (prime % 3 == 2)
                {
                    return prime;
                }
            }
        }
    }

    private static void Write(BigInteger value, ref Bytes384 target) => value.TryWriteBytes(target.AsSpan(), out _, isUnsigned: true);
}
