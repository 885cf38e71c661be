using System.Security.Cryptography;
using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>Vectors/evicted-pages.txt: what EWB writes, to the bit, and that ELDU takes it back.</summary>
public class EvictedPageVectorTests
{
    private static readonly ProcessorConfiguration s_sgx2 = new() { Sgx2 = true };

    private readonly TestPlatform _platform = new(s_sgx2, pagingKey: Convert.FromHexString("000102030405060708090a0b0c0d0e0f"));

    [Fact]
    public void Evicted_pages_are_the_ones_worked_out_by_hand()
    {
        TestEnclave enclave = TestEnclave.Initialized(_platform);
        int regular = enclave.SsaPages[1];
        int restricted = enclave.LastPage;
        Fill(regular);
        Fill(restricted);
        int array = Evicted.VersionArray(_platform);
        int empty = Evicted.VersionArray(_platform);
        SecInfo readable = SecInfo.For(PageType.PT_REG, SecInfoFlags.R);
        Assert.Equal(LeafResult.Ok, EModPr.Execute(_platform.Processor, in readable, restricted));
        List<Dictionary<string, string>> vectors = Read();

        Evicted[] evicted =
        [
            Evicted.Child(_platform, enclave.SecsPage, regular, array, 8),
            Evicted.Child(_platform, enclave.SecsPage, restricted, array, 4088),
            Evicted.Page(_platform, empty, array, 0),
        ];

        Assert.Equal(3, vectors.Count);
        for (int i = 0; i < 3; i++)
        {
            byte[] header = Convert.FromHexString(vectors[i]["header"]);
            ref readonly Pcmd pcmd = ref evicted[i].Pcmd.Value;
            Assert.Equal(vectors[i]["first"], Convert.ToHexStringLower(evicted[i].Contents[..32]));
            Assert.Equal(vectors[i]["sha256"], Convert.ToHexStringLower(SHA256.HashData(evicted[i].Contents)));
            Assert.Equal(vectors[i]["mac"], pcmd.Mac.ToString());
            Assert.Equal(header[..64], Bytes.Of(in pcmd.SecInfo).ToArray());
            Assert.Equal(BitConverter.ToUInt64(header, 64), pcmd.EnclaveId);
            Assert.True(Bytes.IsZero(in pcmd.Reserved));
            Assert.Equal(BitConverter.ToUInt64(header, 112), evicted[i].LinearAddress);
            Assert.Equal(
                ulong.Parse(vectors[i]["version"], System.Globalization.CultureInfo.InvariantCulture),
                BitConverter.ToUInt64(_platform.Frames.Frame(array)[evicted[i].VaOffset..]));
        }

        Assert.Equal(LeafResult.Ok, evicted[0].Load(_platform, enclave.SecsPage, 200));
        Assert.Equal(LeafResult.Ok, evicted[1].Load(_platform, enclave.SecsPage, 201));
        Assert.Equal(LeafResult.Ok, evicted[2].Load(_platform, -1, 202));
        Assert.Equal(Pattern(), _platform.Frames.Frame(200).ToArray());
        Assert.Equal(Pattern(), _platform.Frames.Frame(201).ToArray());
        Assert.True(Bytes.IsZero(_platform.Frames.Frame(202)));
        Assert.Equal(SecInfoFlags.R, _platform.Processor.Epcm.Permissions(201));
        Assert.True(_platform.Processor.Epcm.IsPermissionRestricted(201));
        Assert.True(Bytes.IsZero(_platform.Frames.Frame(array)));
    }

    private static byte[] Pattern() => [.. Enumerable.Range(0, 4096).Select(i => (byte)((7 * i) + (i / 256)))];

    private static List<Dictionary<string, string>> Read()
    {
        List<Dictionary<string, string>> vectors = [];
        foreach (string line in File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Vectors", "evicted-pages.txt")))
        {
            string[] parts = line.Split(' ', 2, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            if (parts.Length < 2 || parts[0] == "#") continue;
            if (parts[0] == "page") vectors.Add([]);
            vectors[^1].Add(parts[0], parts[1]);
        }

        return vectors;
    }

    private void Fill(int page) => Pattern().CopyTo(_platform.Frames.Frame(page));
}
