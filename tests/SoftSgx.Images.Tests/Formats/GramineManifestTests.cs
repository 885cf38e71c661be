using System.Text;
using SoftSgx.Images.Tests.Writers;

namespace SoftSgx.Images.Tests.Formats;

public sealed class GramineManifestTests
{
    internal static byte[] Manifest() => Encoding.UTF8.GetBytes(
        """
        # made by hand
        libos.entrypoint = "/usr/bin/python3"
        loader.env.LD_LIBRARY_PATH = '/lib'
        loader.argv = [ "python3", "a \"quoted\" \u00e9", # one
          "b" ]
        fs.mounts = [ { path = "/lib", uri = "file:/lib" }, { type = "tmpfs", path = "/tmp" } ]

        [sgx]
        debug = true
        enclave_size = "512M"
        max_threads = 16
        isvsvn = 0x2
        allowed_files = ["file:unsafe"]

        [[sgx.trusted_files]]
        uri = "file:libpal.so"
        sha256 = "aa55"

        [[sgx.trusted_files]]
        uri = "file:libc.so"
        sha256 = "bb66"
        """);

    [Fact]
    public void A_manifest_says_what_it_configures()
    {
        EnclaveImage image = ImageFiles.Read(Manifest());
        Assert.Equal(ImageKind.GramineManifest, image.Kind);
        Assert.Null(image.Layout);
        FactGroup facts = image.Facts[0];
        Assert.Equal("/usr/bin/python3", StructureReaderTests.Value(facts, "libos.entrypoint"));
        Assert.Equal("512M", StructureReaderTests.Value(facts, "sgx.enclave_size"));
        Assert.Equal("a \"quoted\" é", StructureReaderTests.Value(facts, "loader.argv[1]"));
        Assert.Equal(("file:libc.so", "bb66"), (image.Facts[1].Facts[1].Name, image.Facts[1].Facts[1].Text));
        Assert.Equal(
            [ReviewWarning.DebugAllowed, ReviewWarning.InsecureSetting], image.FormatWarnings.Select(static warning => warning.Code));
    }

    [Theory]
    [InlineData("libos.entrypoint = \"/x", "does not end")]
    [InlineData("libos.entrypoint = \"x\" y = 1", "something else")]
    [InlineData("libos.entrypoint = [1, [2, [3]", "']'")]
    [InlineData("libos.entrypoint = \"\\q\"", "escape")]
    [InlineData("libos.entrypoint = 1\n= 2", "a key")]
    public void What_is_no_TOML_is_refused_with_the_place(string text, string reason)
    {
        ImageException e = Assert.Throws<ImageException>(() => ImageFiles.Read(Encoding.UTF8.GetBytes(text)));
        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
        Assert.NotNull(e.Offset);
    }

    [Fact]
    public void Nesting_has_an_end() => Assert.Contains(
        "nested",
        Assert.Throws<ImageException>(
            () => ImageFiles.Read(Encoding.UTF8.GetBytes($"libos.entrypoint = {new string('[', 100_000)}"))).Message,
        StringComparison.Ordinal);
}
