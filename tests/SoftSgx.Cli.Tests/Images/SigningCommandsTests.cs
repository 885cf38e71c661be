using System.Security.Cryptography;
using System.Text.Json;
using SoftSgx.Architecture;
using SoftSgx.Images;

namespace SoftSgx.Cli.Tests.Images;

/// <summary>keygen, sign, verify, measure and diff as a script sees them: files, output and exit statuses.</summary>
[Collection(nameof(Softsgx))]
public sealed class SigningCommandsTests : IDisposable
{
    private static readonly Lazy<string> s_pem = new(static () =>
    {
        using SigningKey key = SigningKey.Generate();
        return key.ExportPrivatePem();
    });

    private readonly Files _files = new();

    [Fact]
    public void A_key_is_its_owners_alone_and_is_never_written_over()
    {
        string key = _files["key.pem"];

        (int status, string output, _) = Command.Run("keygen", key, "--public", _files["public.pem"]);

        Assert.Equal(0, status);
        Assert.Matches("^MRSIGNER  [0-9a-f]{64}\n$", output);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(key));
        using SigningKey made = SigningKey.ReadPrivate(key);
        using SigningKey half = SigningKey.ReadPublic(_files["public.pem"]);
        Assert.Equal(made.MrSigner, half.MrSigner);

        string before = File.ReadAllText(key);
        Assert.Equal(1, Command.Run("keygen", key).Status);
        Assert.Equal(1, Command.Run("keygen", _files["other.pem"], "--public", key).Status);
        Assert.Equal(before, File.ReadAllText(key));
        Assert.False(File.Exists(_files["other.pem"]));
    }

    [Fact]
    public void An_sgxs_stream_measures_to_its_hash_and_is_signed_for_it()
    {
        string enclave = _files.Stream("enclave.sgxs", 1, 2, 3);
        string mrEnclave = Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(enclave)));

        using (JsonDocument json = JsonDocument.Parse(Command.Run("measure", enclave, "--json").Output))
        {
            Assert.Equal(mrEnclave, json.RootElement.GetProperty("mrEnclave").GetString());
            Assert.Equal(48, json.RootElement.GetProperty("measuredChunks").GetInt32());
        }

        Assert.Equal(0, Command.Run("sign", enclave, "--key", Key(), "--svn", "3", "--out", _files["a.sig"]).Status);
        Assert.Equal(SigStruct.Size, new FileInfo(_files["a.sig"]).Length);
        (int status, string output, _) = Command.Run("verify", _files["a.sig"], "--mrenclave", mrEnclave);
        Assert.Equal(0, status);
        Assert.EndsWith("verified\n", output, StringComparison.Ordinal);
        Assert.Equal(3, ImageReader.Read(_files["a.sig"]).Signature!.Value.IsvSvn);
    }

    [Fact]
    public void Two_steps_make_what_one_does()
    {
        string enclave = _files.Stream("enclave.sgxs", 7);
        string[] settings = ["--date", "2026-01-31", "--product-id", "0x10", "--no-debug"];
        using RSA rsa = RSA.Create();
        rsa.ImportFromPem(s_pem.Value);
        File.WriteAllText(_files["public.pem"], rsa.ExportRSAPublicKeyPem());

        Assert.Equal(0, Command.Run(["sign", enclave, "--key", Key(), "--out", _files["one.sig"], .. settings]).Status);
        Assert.Equal(0, Command.Run(["sign", enclave, "--digest-out", _files["to-sign"], .. settings]).Status);
        byte[] toSign = File.ReadAllBytes(_files["to-sign"]);
        Assert.Equal(256, toSign.Length);
        File.WriteAllBytes(_files["signature"], rsa.SignData(toSign, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1));
        string[] second = ["--signature", _files["signature"], "--public-key", _files["public.pem"]];
        Assert.Equal(0, Command.Run(["sign", enclave, "--digest-in", _files["to-sign"], "--out", _files["two.sig"], .. second]).Status);
        Assert.Equal(0, Command.Run(["sign", enclave, "--out", _files["said-again.sig"], .. second, .. settings]).Status);

        Assert.Equal(File.ReadAllBytes(_files["one.sig"]), File.ReadAllBytes(_files["two.sig"]));
        Assert.Equal(File.ReadAllBytes(_files["one.sig"]), File.ReadAllBytes(_files["said-again.sig"]));

        // Of another enclave, or with another date, it is no signature.
        string other = _files.Stream("other.sgxs", 8);
        Assert.Equal(1, Command.Run(["sign", other, "--digest-in", _files["to-sign"], "--out", _files["no.sig"], .. second]).Status);
        Assert.Equal(1, Command.Run(["sign", enclave, "--out", _files["no.sig"], "--date", "2026-02-01", .. second]).Status);
        Assert.False(File.Exists(_files["no.sig"]));
    }

    [Fact]
    public void A_file_is_replaced_only_if_asked_and_never_left_half_written()
    {
        string enclave = _files.Stream("enclave.sgxs", 1);
        File.WriteAllText(_files["a.sig"], "precious");
        string[] sign = ["sign", enclave, "--key", Key(), "--out", _files["a.sig"]];

        Assert.Equal(1, Command.Run(sign).Status);
        Assert.Equal("precious", File.ReadAllText(_files["a.sig"]));
        Assert.Equal(1, Command.Run("sign", enclave, "--key", enclave, "--out", _files["a.sig"], "--force").Status);
        Assert.Equal("precious", File.ReadAllText(_files["a.sig"]));
        Assert.Equal(0, Command.Run([.. sign, "--force"]).Status);
        Assert.Equal(0, Command.Run("verify", _files["a.sig"]).Status);

        // Signed anew in its own place: the input is replaced because that was asked for.
        Assert.Equal(0, Command.Run("sign", _files["a.sig"], "--key", Key(), "--svn", "9", "--out", _files["a.sig"], "--force").Status);
        Assert.Equal(9, ImageReader.Read(_files["a.sig"]).Signature!.Value.IsvSvn);
        Assert.Equal(["a.sig", "enclave.sgxs", "key.pem"], Directory.GetFiles(Path.GetDirectoryName(enclave)!).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void What_does_not_verify_is_one_and_says_what()
    {
        string enclave = _files.Stream("enclave.sgxs", 1);
        Command.Run("sign", enclave, "--key", Key(), "--out", _files["a.sig"]);
        byte[] bytes = File.ReadAllBytes(_files["a.sig"]);
        bytes[1030] = 1;
        File.WriteAllBytes(_files["bad.sig"], bytes);
        string nobody = new('0', 64);

        (int status, string output, _) = Command.Run("verify", _files["bad.sig"]);
        Assert.Equal(1, status);
        Assert.Contains("BAD reserved    bytes 1028 to 1039 are not zero\n", output, StringComparison.Ordinal);
        Assert.EndsWith("NOT verified\n", output, StringComparison.Ordinal);
        Assert.Contains("BAD mrsigner", Command.Run("verify", _files["a.sig"], "--mrsigner", nobody).Output, StringComparison.Ordinal);
        Assert.Equal(1, Command.Run("verify", _files["a.sig"], "--mrenclave", nobody).Status);
        Assert.Equal(1, Command.Run("verify", enclave).Status);
        using JsonDocument json = JsonDocument.Parse(Command.Run("verify", _files["bad.sig"], "--json").Output);
        Assert.False(json.RootElement.GetProperty("verified").GetBoolean());
    }

    [Fact]
    public void Diff_has_the_statuses_of_diff()
    {
        string one = _files.Stream("one.sgxs", 1, 2, 3);
        string same = _files.Stream("same.sgxs", 1, 2, 3);
        string other = _files.Stream("other.sgxs", 1, 5, 3);
        Command.Run("sign", one, "--key", Key(), "--out", _files["one.sig"]);

        Assert.Equal(0, Command.Run("diff", one, same).Status);
        (int status, string output, _) = Command.Run("diff", one, other);
        Assert.Equal(1, status);
        Assert.Contains("byte at offset 0x1000 of the enclave: A 0x02, B 0x05\n", output, StringComparison.Ordinal);
        Assert.Contains("first difference: operation 20, 19 before it are the same\n", output, StringComparison.Ordinal);
        Assert.Equal(2, Command.Run("diff", one, _files["missing"]).Status);
        Assert.Equal((0, 1), (Command.Run("diff", one, _files["one.sig"]).Status, Command.Run("diff", other, _files["one.sig"]).Status));
        using JsonDocument json = JsonDocument.Parse(Command.Run("diff", one, other, "--json").Output);
        Assert.Equal(0x1000, json.RootElement.GetProperty("first").GetProperty("byte").GetProperty("offset").GetInt32());
        Assert.Equal(1, json.RootElement.GetProperty("regions")[0].GetProperty("bytes").GetInt32());
    }

    [Theory]
    [InlineData("measure")]
    [InlineData("verify")]
    [InlineData("sign --digest-out /nonexistent/x")]
    public void A_file_that_cannot_be_read_is_one(string command)
    {
        string[] words = command.Split(' ');
        string truncated = _files["truncated"];
        File.WriteAllBytes(truncated, File.ReadAllBytes(_files.Stream("enclave.sgxs", 1))[..500]);

        foreach (string file in new[] { _files["missing"], truncated, Path.GetTempPath(), "" })
        {
            Assert.Equal(1, Command.Run([words[0], file, .. words[1..]]).Status);
        }
    }

    [Fact]
    public void An_enclave_beyond_the_limit_is_refused()
    {
        string enclave = _files.Stream("enclave.sgxs", 1, 2, 3);

        Assert.Equal(1, Command.Run("measure", enclave, "--limit", "8K").Status);
        Assert.Equal(0, Command.Run("measure", enclave, "--limit", "12K").Status);
    }

    [Theory]
    [InlineData("sign F", "give one of --key")]
    [InlineData("sign F --key K", "--out says")]
    [InlineData("sign F --key K --digest-out D", "give one of --key")]
    [InlineData("sign F --digest-out D --out O", "nothing for --out")]
    [InlineData("sign F --signature S --out O", "needs --public-key")]
    [InlineData("sign F --key K --out O --public-key P", "goes with --signature")]
    [InlineData("sign F --key K --out O --digest-in D", "goes with --signature")]
    [InlineData("sign F --signature S --public-key P --out O --digest-in D --svn 1", "do not go with it")]
    [InlineData("sign F --signature S --public-key P --out O --passphrase-file X", "goes with --key")]
    [InlineData("sign F --key K --out O --debug --no-debug", "do not go together")]
    [InlineData("sign F --key K --out O --svn 65536", "from 0 to 65535")]
    [InlineData("sign F --key K --out O --date 2026-02-30", "no date")]
    [InlineData("sign F --key K --out O --family-id 00", "16 bytes in hexadecimal")]
    [InlineData("sign F --key K --out O --misc-select 100000000", "32 bits")]
    [InlineData("verify F --mrsigner xyz", "32 bytes in hexadecimal")]
    [InlineData("measure F --summary", "needs --trace")]
    [InlineData("measure F --limit x", "no size")]
    [InlineData("measure F --variant -1", "no number of a variant")]
    public void Wrong_options_are_two_and_say_why(string line, string why)
    {
        (int status, _, string problem) = Command.Run(line.Split(' '));

        Assert.Equal(2, status);
        Assert.Contains(why, problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Names_in_files_do_not_steer_the_terminal() =>
        Assert.Equal("a?[31mb?c?", FileProblemException.Printable("a\e[31mb\nc\u202E"));

    public void Dispose() => _files.Dispose();

    private string Key()
    {
        string path = _files["key.pem"];
        if (!File.Exists(path))
        {
            File.WriteAllText(path, s_pem.Value);
        }

        return path;
    }
}
