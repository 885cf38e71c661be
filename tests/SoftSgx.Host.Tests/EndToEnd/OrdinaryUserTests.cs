namespace SoftSgx.Host.Tests.EndToEnd;

/// <summary>
/// Everything works for a user without any right. Where the tests run as root they become such a user for it, without capabilities
/// and with a home of its own; the repository need not be readable for anybody else, so what is run is copied.
/// </summary>
[Collection(nameof(EndToEnd))]
public sealed class OrdinaryUserTests
{
    private const string User = "setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all --inh-caps -all --no-new-privs";

    [OrdinaryUserTheory]
    [InlineData("64M", "hello", "hello")]
    [InlineData("64M", "exceptions", "exceptions")]
    [InlineData("2M", "bigheap", "bigheap --mib 8 --threads 3 --rounds 2")]
    public void The_samples_run(string epc, string sample, string command)
    {
        Outcome outcome = Run(Path.GetDirectoryName(Machine.BuildSample(sample))!, sample, epc, command).Ended("exit 0");
        Assert.EndsWith($"{sample}: ok\n", outcome.Text, StringComparison.Ordinal);
    }

    [OrdinaryUserTheory]
    [InlineData("fork 1500 4", "no children left: 1\n")]
    [InlineData("walk 1500 3", "every word is right\n")]
    public void Pages_come_and_go(string what, string text)
    {
        Outcome outcome = Run(Path.GetDirectoryName(Machine.BuildWithEnclave("paging"))!, "paging", "2M", "paging " + what).Ended("exit 0");
        Assert.Equal(text, outcome.Text);
    }

    private static Outcome Run(string folderOfProgram, string program, string epc, string command)
    {
        string root = Path.GetDirectoryName(Machine.Softsgx)!;
        using TemporaryFolder folder = Machine.NewFolder();
        string script =
            $"""
            mkdir -p home product/artifacts programs &&
            cp {root}/softsgx product && cp -r {root}/artifacts/softsgx product/artifacts &&
            cp {folderOfProgram}/{program} {folderOfProgram}/{program}.enclave programs || exit 99
            export HOME="$PWD/home"
            run="$PWD/product/softsgx run --epc {epc}"
            become=
            if [ "$(id -u)" = 0 ]; then
                chown -R 65534:65534 . && chmod 755 . && become="{User}" || exit 99
            fi
            cd programs && exec $become $run ./{command}
            """;
        return Machine.Run(["/bin/sh", "-c", script], folder: folder.Path);
    }
}

/// <summary>A test as an ordinary user: by setpriv, where the tests run as root.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class OrdinaryUserTheoryAttribute : TheoryAttribute
{
    public OrdinaryUserTheoryAttribute() => Skip = Capabilities.Missing
        ?? (Environment.IsPrivilegedProcess && !Capabilities.OnPath("setpriv") ? "setpriv is not installed, and the tests run as root" : null);
}
