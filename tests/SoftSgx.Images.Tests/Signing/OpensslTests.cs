using System.Diagnostics;
using SoftSgx.Architecture;
using SoftSgx.Processor.Model;

namespace SoftSgx.Images.Tests;

/// <summary>Another implementation reads our keys, makes signatures that we take, and takes ours.</summary>
public sealed class OpensslTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [OpensslFact]
    public void It_finds_our_key_sound()
    {
        string key = Write("key.pem", Keys.First.ExportPrivatePem());

        Assert.Contains("RSA key ok", Openssl("rsa", "-in", key, "-check", "-noout"), StringComparison.Ordinal);
        Assert.Contains("publicExponent: 3 (", Openssl("rsa", "-in", key, "-text", "-noout"), StringComparison.Ordinal);
    }

    [OpensslFact]
    public void We_read_its_keys()
    {
        string pkcs1 = _folder.File("pkcs1.pem");
        string encrypted = _folder.File("encrypted.pem");
        string publicKey = _folder.File("public.pem");
        Openssl("genrsa", "-3", "-traditional", "-out", pkcs1, "3072");
        Openssl("pkcs8", "-topk8", "-in", pkcs1, "-out", encrypted, "-passout", "pass:word");
        Openssl("rsa", "-in", pkcs1, "-pubout", "-out", publicKey);

        using SigningKey key = SigningKey.ReadPrivate(pkcs1);
        using SigningKey same = SigningKey.ReadPrivate(encrypted, "word");
        using SigningKey half = SigningKey.ReadPublic(publicKey);

        Assert.Equal((key.MrSigner, key.MrSigner), (same.MrSigner, half.MrSigner));
        Assert.False(half.IsPrivate);
    }

    [OpensslFact]
    public void Its_signature_is_the_second_step()
    {
        string keyFile = Write("key.pem", Keys.First.ExportPrivatePem());
        string signed = _folder.File("signed.bin");
        string signature = _folder.File("signature.bin");
        SigStruct sig = SigStructSigner.Template();
        sig.EnclaveHash.AsSpan().Fill(0x77);
        File.WriteAllBytes(signed, SigStructSigner.SignedBytes(in sig));

        Openssl("dgst", "-sha256", "-sign", keyFile, "-out", signature, signed);
        SigStructSigner.Merge(ref sig, File.ReadAllBytes(signature), Keys.First);

        Assert.True(Signature.IsValid(in sig));
    }

    [OpensslFact]
    public void It_verifies_ours()
    {
        string keyFile = Write("public.pem", Keys.First.ExportPublicPem());
        SigStruct sig = SigStructSigner.Template();
        SigStructSigner.Sign(ref sig, Keys.First);
        byte[] bigEndian = sig.Signature.AsReadOnlySpan().ToArray();
        Array.Reverse(bigEndian);
        File.WriteAllBytes(_folder.File("signature.bin"), bigEndian);
        File.WriteAllBytes(_folder.File("signed.bin"), SigStructSigner.SignedBytes(in sig));

        string answer = Openssl("dgst", "-sha256", "-verify", keyFile, "-signature", _folder.File("signature.bin"), _folder.File("signed.bin"));

        Assert.Contains("Verified OK", answer, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    private string Write(string name, string text)
    {
        string path = _folder.File(name);
        File.WriteAllText(path, text);
        return path;
    }

    private static string Openssl(params string[] arguments)
    {
        ProcessStartInfo start = new("openssl", arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"openssl {string.Join(' ', arguments)}: {errors.Result}");
        return output + errors.Result;
    }
}
