using System.Security.Cryptography;

namespace SoftSgx.Processor.Tests;

/// <summary>AES-CMAC against RFC 4493, section 4, and against a plain block-by-block computation.</summary>
public class AesCmacTests
{
    private const string Key = "2b7e151628aed2a6abf7158809cf4f3c";

    private const string Message =
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";

    [Theory]
    [InlineData(0, "bb1d6929e95937287fa37d129b756746")]
    [InlineData(16, "070a16b46b4d4144f79bdd9dd04a287c")]
    [InlineData(40, "dfa66747de9ae63030ca32611497c827")]
    [InlineData(64, "51f0bebf7e3b9d92fc49741779363cfe")]
    public void Vectors_of_rfc_4493(int length, string expected)
    {
        byte[] message = Convert.FromHexString(Message)[..length];

        Assert.Equal(expected, AesCmac.Compute(Convert.FromHexString(Key), message).ToString());
        using AesCmac kept = new(Convert.FromHexString(Key));
        Assert.Equal(expected, kept.Compute(message).ToString());
        using PortableAesCmac portable = new(Convert.FromHexString(Key));
        Assert.Equal(expected, portable.Compute(message).ToString());
    }

    [Theory]
    [InlineData(17)]
    [InlineData(511)]
    [InlineData(512)]
    [InlineData(513)]
    [InlineData(528)]
    [InlineData(529)]
    [InlineData(1024)]
    [InlineData(1041)]
    public void Long_messages_equal_the_plain_computation(int length)
    {
        byte[] message = new byte[length];
        new Random(4493).NextBytes(message);

        string expected = Convert.ToHexStringLower(Plain(Convert.FromHexString(Key), message));

        Assert.Equal(expected, AesCmac.Compute(Convert.FromHexString(Key), message).ToString());
        using PortableAesCmac portable = new(Convert.FromHexString(Key));
        Assert.Equal(expected, portable.Compute(message).ToString());
    }

    private static byte[] Plain(byte[] key, byte[] message)
    {
        using Aes aes = Aes.Create();
        aes.Key = key;
        byte[] subkey = Double(aes.EncryptEcb(new byte[16], PaddingMode.None));
        int blocks = (message.Length + 15) / 16;
        byte[] padded = new byte[blocks * 16];
        message.CopyTo(padded, 0);
        if (message.Length % 16 != 0)
        {
            padded[message.Length] = 0x80;
            subkey = Double(subkey);
        }

        byte[] state = new byte[16];
        for (int block = 0; block < blocks; block++)
        {
            for (int i = 0; i < 16; i++)
            {
                state[i] ^= (byte)(padded[(block * 16) + i] ^ (block == blocks - 1 ? subkey[i] : 0));
            }

            state = aes.EncryptEcb(state, PaddingMode.None);
        }

        return state;
    }

    private static byte[] Double(byte[] value)
    {
        UInt128 number = System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(value);
        UInt128 doubled = number << 1;
        if (number >> 127 != 0)
        {
            doubled ^= 0x87;
        }

        byte[] result = new byte[16];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt128BigEndian(result, doubled);
        return result;
    }
}
