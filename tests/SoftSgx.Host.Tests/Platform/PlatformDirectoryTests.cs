using SoftSgx.Host.Platform;

namespace SoftSgx.Host.Tests.Platform;

/// <summary>Platforms and their files.</summary>
public sealed class PlatformDirectoryTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("softsgx-platforms-");
    private readonly PlatformDirectory _platforms;

    public PlatformDirectoryTests() => _platforms = new PlatformDirectory(SecretPath);

    private string SecretPath => Path.Combine(_folder.FullName, "state", "softsgx", "platform.secret");

    private string PathOf(string name) => Path.Combine(_platforms.Folder, name + ".json");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void One_that_was_made_is_found_as_it_was()
    {
        Assert.Empty(_platforms.Names());
        Assert.Null(LaunchControlSetting.Parse("locked", out LaunchControlSetting locked));
        byte[] epoch = new byte[16], svn = new byte[16];
        epoch[0] = 7;
        svn[3] = 9;
        PlatformIdentity made = _platforms.Create("a.b-c_1", p => p with { Sgx1 = true, LaunchControl = locked, Epc = "64M@0,64M@1", OwnerEpoch = epoch, CpuSvn = svn });
        PlatformIdentity found = _platforms.Open("a.b-c_1");

        Assert.Equal(made.Fingerprint, found.Fingerprint);
        Assert.Equal((true, locked, "64M@0,64M@1"), (found.Sgx1, found.LaunchControl, found.Epc));
        Assert.Equal(epoch, found.Secrets.OwnerEpoch.ToArray());
        Assert.Equal(svn, found.Secrets.CpuSvn.ToArray());
        Assert.Equal(made.Secrets.RootSealKey.ToArray(), found.Secrets.RootSealKey.ToArray());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(PathOf("a.b-c_1")));
        Assert.Equal(["a.b-c_1"], _platforms.Names());
        Assert.Single(Directory.GetFileSystemEntries(_platforms.Folder));
        Assert.NotEqual(made.Fingerprint, _platforms.Create("other", static p => p).Fingerprint);
    }

    [Fact]
    public void The_default_platform_is_the_secret_of_the_first_run()
    {
        Assert.Null(_platforms.Find("default"));
        PlatformIdentity first = _platforms.Open("default");
        Assert.Equal(File.ReadAllBytes(SecretPath), first.Seed.ToArray());
        Assert.Equal(first.Fingerprint, _platforms.Open("default").Fingerprint);
        Assert.Equal(["default"], _platforms.Names());
        Assert.Throws<HostException>(() => _platforms.Create("default", static p => p));
    }

    [Fact]
    public void An_update_keeps_the_fuses_and_raises_versions_only()
    {
        PlatformIdentity before = _platforms.Open("default");
        byte[] newer = [2, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], mixed = [3, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        PlatformIdentity after = _platforms.Update("default", p => p with { CpuSvn = newer });

        Assert.Equal(before.Fingerprint, after.Fingerprint);
        Assert.Equal(newer, _platforms.Open("default").CpuSvn.ToArray());
        HostException error = Assert.Throws<HostException>(() => _platforms.Update("default", p => p with { CpuSvn = mixed }));
        Assert.Contains("older in some component", error.Message, StringComparison.Ordinal);
        Assert.Equal(newer, _platforms.Open("default").CpuSvn.ToArray());
        Assert.Throws<HostException>(() => _platforms.Update("none", static p => p));
    }

    [Fact]
    public void Another_owner_epoch_makes_the_owners_keys_new()
    {
        PlatformIdentity before = _platforms.Create("x", static p => p);
        PlatformIdentity after = _platforms.Update("x", static p => p with { OwnerEpoch = new byte[16] });
        Assert.NotEqual(before.Secrets.OwnerEpoch.ToArray(), after.Secrets.OwnerEpoch.ToArray());
        Assert.Equal(before.Secrets.RootProvisioningKey.ToArray(), after.Secrets.RootProvisioningKey.ToArray());
        Assert.Equal(before.Secrets.RootSealKey.ToArray(), after.Secrets.RootSealKey.ToArray());
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("../x")]
    [InlineData("a/b")]
    [InlineData("/etc/passwd")]
    [InlineData(".hidden")]
    [InlineData("-option")]
    [InlineData("ä")]
    [InlineData("a\n")]
    [InlineData("a\0b")]
    [InlineData("12345678901234567890123456789012345678901234567890123456789012345")]
    public void Names_are_no_paths(string name)
    {
        Assert.NotNull(PlatformDirectory.NameProblem(name));
        Assert.Throws<HostException>(() => _platforms.Create(name, static p => p));
        Assert.Throws<HostException>(() => _platforms.Open(name));
        Assert.Throws<HostException>(() => _platforms.Remove(name));
        Assert.False(Directory.Exists(_platforms.Folder));
    }

    [Fact]
    public void A_damaged_file_is_named_and_left_alone()
    {
        _platforms.Create("x", static p => p);
        byte[] good = File.ReadAllBytes(PathOf("x"));
        const int Seed = 20261122;
        Random random = new(Seed);
        int accepted = 0;
        for (int round = 0; round < 500; round++)
        {
            byte[] bad = [.. good];
            bad[random.Next(bad.Length)] ^= (byte)(1 << random.Next(8));
            bad = random.Next(4) == 0 ? bad[..random.Next(bad.Length)] : bad;
            File.WriteAllBytes(PathOf("x"), bad);
            try
            {
                // White space and the case of digits outside of what is checked may change and mean the same.
                Assert.Equal("x", _platforms.Open("x").Name);
                accepted++;
            }
            catch (HostException e)
            {
                Assert.Contains(PathOf("x"), e.Message, StringComparison.Ordinal);
                Assert.DoesNotContain('\n', e.Message);
            }
            if (round % 50 == 0)
            {
                try
                {
                    _platforms.Update("x", static p => p with { Sgx1 = true });
                }
                catch (HostException)
                {
                    Assert.Equal(bad, File.ReadAllBytes(PathOf("x")));
                }
            }
        }
        Assert.True(accepted < 50, $"seed {Seed}: {accepted} of 500 damaged files were taken");
        File.WriteAllBytes(PathOf("x"), new byte[1 << 20]);
        Assert.Contains("1048576 bytes", Assert.Throws<HostException>(() => _platforms.Open("x")).Message, StringComparison.Ordinal);
        File.WriteAllBytes(PathOf("y"), good);
        Assert.Contains("another name", Assert.Throws<HostException>(() => _platforms.Open("y")).Message, StringComparison.Ordinal);
        Assert.Equal([PathOf("x")], _platforms.Remove("x"));
    }

    [Fact]
    public async Task Of_many_makers_one_wins_whole()
    {
        PlatformIdentity?[] made = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() =>
        {
            try
            {
                return _platforms.Create("x", static p => p);
            }
            catch (HostException)
            {
                return null;
            }
        })));
        PlatformIdentity winner = Assert.Single(made.OfType<PlatformIdentity>());
        Assert.Equal(winner.Fingerprint, _platforms.Open("x").Fingerprint);
        Assert.Single(Directory.GetFileSystemEntries(_platforms.Folder));
    }

    [Fact]
    public void What_is_removed_is_gone()
    {
        _platforms.Open("default");
        _platforms.Update("default", static p => p with { Sgx1 = true });
        Assert.Equal(2, _platforms.Remove("default").Count);
        Assert.Empty(_platforms.Names());
        Assert.Throws<HostException>(() => _platforms.Remove("default"));
        Assert.Throws<HostException>(() => _platforms.Open("x"));
    }

    [Fact]
    public void Where_nothing_can_be_kept_only_the_default_platform_runs()
    {
        File.WriteAllText(Path.Combine(_folder.FullName, "state"), "a file where a folder must be");
        Assert.NotNull(_platforms.Open("default").WhyTemporary);
        Assert.Contains("XDG_STATE_HOME", Assert.Throws<HostException>(() => _platforms.Create("x", static p => p)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_text_makes_the_same_platform_every_time()
    {
        Assert.Equal(PlatformIdentity.FromText("a").Fingerprint, PlatformIdentity.FromText("a").Fingerprint);
        Assert.NotEqual(PlatformIdentity.FromText("a").Fingerprint, PlatformIdentity.FromText("b").Fingerprint);
    }
}
