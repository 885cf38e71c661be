namespace SoftSgx.Host.Tests.EndToEnd;

/// <summary>A secret that one run seals and another opens: who can, and who cannot.</summary>
[Collection(nameof(EndToEnd))]
public sealed class SealTests : IDisposable
{
    private const string NotOurs = "sealed on another platform, or under another signer, or damaged";

    private readonly TemporaryFolder _folder = Machine.NewFolder();

    private static string Program => Machine.BuildSample("seal");

    private string Sealed => Path.Combine(_folder.Path, "sealed");

    [EndToEndFact]
    public void What_is_sealed_cannot_be_changed() => Seal("here").Ended("exit 0");

    [EndToEndFact]
    public void Another_run_on_the_same_platform_opens_it()
    {
        Seal("here", "--svn", "3", "seal", Sealed, "a secret").Ended("exit 0");

        Opens("here", "--svn", "3");
    }

    [EndToEndFact]
    public void A_higher_version_opens_it_and_a_lower_one_does_not()
    {
        Seal("here", "--svn", "3", "seal", Sealed, "a secret").Ended("exit 0");

        Opens("here", "--svn", "4");
        Refuses("a later version of the enclave sealed it (ISVSVN)", "here", "--svn", "2");
    }

    [EndToEndFact]
    public void Another_platform_does_not_open_it()
    {
        Seal("here", "seal", Sealed, "a secret").Ended("exit 0");

        Refuses(NotOurs, "elsewhere");
        Opens("here");
    }

    [EndToEndFact]
    public void A_debug_enclave_does_not_open_it()
    {
        Seal("here", "seal", Sealed, "a secret").Ended("exit 0");

        Refuses(NotOurs, "here", "--debug");
    }

    [EndToEndFact]
    public void Another_signer_does_not_open_it_but_what_it_sealed_itself()
    {
        string file = Path.Combine(_folder.Path, "test.sig");
        string key = Path.Combine(_folder.Path, "key.pem");
        string signed = Path.Combine(_folder.Path, "other.sig");
        Seal("here", "--svn", "3", "seal", Sealed, "a secret").Ended("exit 0");
        Seal("here", "write-sigstruct", file).Ended("exit 0");
        Machine.Run([Machine.Softsgx, "keygen", key]).Ended("exit 0");
        Machine.Run([Machine.Softsgx, "sign", file, "--key", key, "--svn", "3", "--out", signed]).Ended("exit 0");

        Refuses(NotOurs, "here", "--sigstruct", signed);
        Seal("here", "--sigstruct", signed, "seal", Sealed, "a secret").Ended("exit 0");
        Opens("here", "--sigstruct", signed);
        Refuses(NotOurs, "here", "--svn", "3");
    }

    [EndToEndFact]
    public void A_signature_of_another_version_is_for_the_same_enclave()
    {
        string file = Path.Combine(_folder.Path, "test.sig");
        string key = Path.Combine(_folder.Path, "key.pem");
        string[] signed = [Path.Combine(_folder.Path, "five.sig"), Path.Combine(_folder.Path, "six.sig")];
        Seal("here", "write-sigstruct", file).Ended("exit 0");
        Machine.Run([Machine.Softsgx, "keygen", key]).Ended("exit 0");
        Machine.Run([Machine.Softsgx, "sign", file, "--key", key, "--svn", "5", "--out", signed[0]]).Ended("exit 0");
        Machine.Run([Machine.Softsgx, "sign", file, "--key", key, "--svn", "6", "--out", signed[1]]).Ended("exit 0");
        Seal("here", "--sigstruct", signed[0], "seal", Sealed, "a secret").Ended("exit 0");

        Opens("here", "--sigstruct", signed[1]);
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>Runs the sample on the platform of that name: each has a folder of state of its own.</summary>
    private Outcome Seal(string platform, params string[] arguments) =>
        Machine.Run(["/usr/bin/env", $"XDG_STATE_HOME={Path.Combine(_folder.Path, platform)}", Machine.Softsgx, "run", Program, .. arguments]);

    private void Opens(string platform, params string[] arguments)
    {
        Outcome outcome = Seal(platform, [.. arguments, "open", Sealed]).Ended("exit 0");
        Assert.EndsWith("    a secret\nseal: ok\n", outcome.Text, StringComparison.Ordinal);
    }

    private void Refuses(string why, string platform, params string[] arguments)
    {
        Outcome outcome = Seal(platform, [.. arguments, "open", Sealed]).Ended("exit 1");
        Assert.Contains($"NO:  the enclave opens it: {why}\n", outcome.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("a secret", outcome.Text, StringComparison.Ordinal);
    }
}
