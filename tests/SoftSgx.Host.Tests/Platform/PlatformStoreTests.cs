using SoftSgx.Host.Platform;

namespace SoftSgx.Host.Tests.Platform;

/// <summary>The file with the platform's secret.</summary>
public sealed class PlatformStoreTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("softsgx-store-");

    private string SecretPath => Path.Combine(_folder.FullName, "state", "softsgx", "platform.secret");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void It_is_made_once_and_kept()
    {
        byte[] first = PlatformStore.ReadOrCreate(SecretPath, out string? temporary);
        Assert.Null(temporary);
        Assert.Equal(PlatformStore.SecretSize, first.Length);
        Assert.Equal(first, PlatformStore.ReadOrCreate(SecretPath, out _));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(SecretPath));
        Assert.Single(Directory.GetFiles(Path.GetDirectoryName(SecretPath)!));
    }

    [Fact]
    public async Task Many_first_runs_agree_on_one()
    {
        byte[][] secrets = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => PlatformStore.ReadOrCreate(SecretPath, out string? _))));
        Assert.All(secrets, secret => Assert.Equal(secrets[0], secret));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(31)]
    [InlineData(33)]
    public void A_damaged_file_is_named_and_left_alone(int size)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(SecretPath)!);
        byte[] damaged = [.. Enumerable.Repeat((byte)7, size)];
        File.WriteAllBytes(SecretPath, damaged);
        HostException error = Assert.Throws<HostException>(() => PlatformStore.ReadOrCreate(SecretPath, out _));
        Assert.Contains(SecretPath, error.Message, StringComparison.Ordinal);
        Assert.Equal(damaged, File.ReadAllBytes(SecretPath));
    }

    [Fact]
    public void Where_none_can_be_kept_it_is_temporary()
    {
        File.WriteAllText(Path.Combine(_folder.FullName, "state"), "a file where a folder must be");
        byte[] secret = PlatformStore.ReadOrCreate(SecretPath, out string? temporary);
        Assert.Equal(PlatformStore.SecretSize, secret.Length);
        Assert.NotNull(temporary);
    }
}
