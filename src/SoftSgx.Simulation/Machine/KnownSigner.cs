using System.Globalization;
using System.Numerics;
using System.Security.Cryptography;
using SoftSgx.Architecture;

namespace SoftSgx.Simulation;

/// <summary>
/// Signs with a fixed RSA-3072 key of exponent 3 that everybody knows: it proves nothing, but INIT asks for a signature. The tests of the
/// kernel use it too.
/// </summary>
internal static class KnownSigner
{
    private const string ModulusHex =
        "a864c8617f9d1b669a3b3d88e59fafddc2ffaa443b3a92672d6680188054a7037956696b72b255f2071f85289d920f77" +
        "0cd72362c663c80adce0c3f003d8f5eda8995f035aaabf3a3d4e0036e928aea70d01c384140fcc2a8a26296e4938f40f" +
        "fcb1e81bac98dc5df7eb7ab10e4b83504ae5f965c493c09c7d7ce965e930ed7d50a5770b5132ed238ca3ebc8ddf3b54a" +
        "432e41853057b511331ea9a3342434b099bfd2c8ee086efc8769f75fd5bb3be8b5a684ff6570c80f6381c07883a9b3d9" +
        "c846fc80907bf78158b64c813fbab9c55eb1ea2caa36af33962ca7945b153c3455dd28986a9b0cd65dbc3be64938c89b" +
        "608106cc92afa852baab4cc64e31e3c9e9694d6d55e84ef2daaed4c1ec4e6a43e8ce80554cb34661573a1366524f1196" +
        "e062abfe00df09e961ccd7e4993d2a3050609f79cc9013726924a7ad421252edb9526c544bd87e07d4578b16386b41bc" +
        "2522e8f33911391e93e2f882debc2a1955429b6eb4feefe5ba34511fa968a5a24e824e7a2138fcb8635b3d85c2c59899";

    private const string PrivateExponentHex =
        "70433040ffbe124466d22905ee6a753e81ffc6d8277c619a1e445565aae31a0250e44647a1cc394c04bfae1b13b6b4fa" +
        "088f6cec8442855c934082a00290a3f3c5bb94ace71c7f7c28deaacf461b1f1a08abd7ad62b532c706c41b9edb7b4d5f" +
        "fdcbf012731092e94ff251cb5edd02358743fb992db7d5bda8fdf0ee9b75f3a8e06e4f5ce0cc9e17b317f285e94d2386" +
        "d7742bae203a78b62214711778182320667fe1db495af4a85a46a4ea8e7cd29b23c458aa43a0855f97abd5a5ad1bcd3a" +
        "c5e3c9ae61be9b65bc9ac91fbac0d7286487032d817ba0222c9f6ef154531dc41b042a1b2eb771dadaa9c3fc868ce073" +
        "26a5270a669553bb413d1652d5a130eb2d4aa2d970861ca0957aeddb7b62e592859e16450ea0589094d3b397e678c150" +
        "eabe5a07c93bb7b2b9fbe991fd88d41b0e414a6f375ade69229fb49c5c60af5aca6a3aa32a3734130a27adaa48e6dea2" +
        "e16921d30275ce1518040cdbf7b34376c99192779a56e11d8c0677a38e9755205a731e0fe66b6b9dae1b17fc202417ab";

    // DigestInfo of SHA-256, RFC 8017, section 9.2.
    private static readonly byte[] s_digestInfo =
        [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

    private static readonly BigInteger s_modulus = Parse(ModulusHex);
    private static readonly BigInteger s_privateExponent = Parse(PrivateExponentHex);

    /// <summary>SHA-256 of the modulus.</summary>
    public static Hash256 MrSigner => Hash256.From(SHA256.HashData(LittleEndian(s_modulus)));

    /// <summary>Fills in header, key, signature, Q1 and Q2 of a SIGSTRUCT whose body is complete.</summary>
    public static void Sign(ref SigStruct sigStruct)
    {
        SigStruct.HeaderConstant.CopyTo(Bytes.Writable(ref sigStruct.Header));
        SigStruct.Header2Constant.CopyTo(Bytes.Writable(ref sigStruct.Header2));
        sigStruct.Exponent = 3;
        LittleEndian(s_modulus).CopyTo(Bytes.Writable(ref sigStruct.Modulus));

        ReadOnlySpan<byte> bytes = Bytes.Of(in sigStruct);
        byte[] signed = [.. bytes[..128], .. bytes[900..1028]];
        byte[] message = new byte[384];
        message.AsSpan().Fill(0xFF);
        message[0] = 0;
        message[1] = 1;
        message[384 - 32 - s_digestInfo.Length - 1] = 0;
        s_digestInfo.CopyTo(message, 384 - 32 - s_digestInfo.Length);
        SHA256.HashData(signed).CopyTo(message, 384 - 32);

        var padded = new BigInteger(message, isUnsigned: true, isBigEndian: true);
        BigInteger signature = BigInteger.ModPow(padded, s_privateExponent, s_modulus);
        BigInteger q1 = BigInteger.DivRem(signature * signature, s_modulus, out BigInteger rest);
        BigInteger q2 = rest * signature / s_modulus;
        LittleEndian(signature).CopyTo(Bytes.Writable(ref sigStruct.Signature));
        LittleEndian(q1).CopyTo(Bytes.Writable(ref sigStruct.Q1));
        LittleEndian(q2).CopyTo(Bytes.Writable(ref sigStruct.Q2));
    }

    private static BigInteger Parse(string hex)
        => BigInteger.Parse("0" + hex, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private static byte[] LittleEndian(BigInteger value)
    {
        byte[] bytes = new byte[384];
        value.TryWriteBytes(bytes, out _, isUnsigned: true);
        return bytes;
    }
}
