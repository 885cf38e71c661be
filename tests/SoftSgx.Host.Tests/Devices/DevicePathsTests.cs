using System.Text;
using SoftSgx.Host.Devices;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Tests.Devices;

/// <summary>Which paths name a device.</summary>
public sealed class DevicePathsTests
{
    [Theory]
    [InlineData("/dev/sgx_enclave", nameof(DeviceNode.Enclave))]
    [InlineData("/dev/sgx_provision", nameof(DeviceNode.Provision))]
    [InlineData("/dev/sgx/enclave", nameof(DeviceNode.EnclaveV22))]
    [InlineData("/dev/sgx/provision", nameof(DeviceNode.ProvisionV22))]
    [InlineData("//dev/./sgx_enclave", nameof(DeviceNode.Enclave))]
    [InlineData("/tmp/../dev//sgx/../sgx_enclave", nameof(DeviceNode.Enclave))]
    [InlineData("/../../dev/sgx_enclave", nameof(DeviceNode.Enclave))]
    [InlineData("/dev/sgx_enclave/", nameof(DeviceNode.NotDirectory))]
    [InlineData("/dev/sgx_enclave/.", nameof(DeviceNode.NotDirectory))]
    [InlineData("/dev/sgx_enclave2", nameof(DeviceNode.None))]
    [InlineData("/dev/sgx_enclav", nameof(DeviceNode.None))]
    [InlineData("/dev/sgx", nameof(DeviceNode.None))]
    [InlineData("/home/dev/sgx_enclave", nameof(DeviceNode.None))]
    [InlineData("/", nameof(DeviceNode.None))]
    [InlineData("/..", nameof(DeviceNode.None))]
    [InlineData(".", nameof(DeviceNode.None))]
    public void Absolute_paths(string path, string node) => Assert.Equal(node, Find(AT_FDCWD, path).ToString());

    [Fact]
    public void Relative_paths_start_at_the_directory_descriptor()
    {
        using FileStreamOfDirectory dev = new("/dev");
        Assert.Equal(DeviceNode.Enclave, Find(dev.Descriptor, "sgx_enclave"));
        Assert.Equal(DeviceNode.EnclaveV22, Find(dev.Descriptor, "../dev/sgx/enclave"));
        Assert.Equal(DeviceNode.None, Find(dev.Descriptor, "shm/sgx_enclave"));
        Assert.Equal(DeviceNode.None, Find(-1, "sgx_enclave"));
        Assert.Equal(DeviceNode.None, Find(AT_FDCWD, "sgx_enclave"));
    }

    [Fact]
    public void Any_bytes_of_any_length_are_answered()
    {
        Random random = new(20260101);
        byte[][] pieces = [.. ((string[])["/", "//", "..", ".", "dev", "sgx", "sgx_enclave", "enclave", "\0", "\xff"]).Select(Encoding.Latin1.GetBytes)];
        for (int i = 0; i < 20_000; i++)
        {
            List<byte> path = [(byte)'/'];
            int target = random.Next(0, i % 100 == 0 ? DevicePaths.MaximumPath : 40);
            while (path.Count < target)
            {
                path.AddRange(pieces[random.Next(pieces.Length)]);
            }
            _ = DevicePaths.Find(Environment.ProcessId, AT_FDCWD, path.Take(DevicePaths.MaximumPath - 1).ToArray());
        }
    }

    private static DeviceNode Find(int directory, string path) =>
        DevicePaths.Find(Environment.ProcessId, directory, Encoding.UTF8.GetBytes(path));

    /// <summary>A descriptor of a directory in this process.</summary>
    private sealed class FileStreamOfDirectory : IDisposable
    {
        internal unsafe FileStreamOfDirectory(string path)
        {
            fixed (byte* name = Encoding.UTF8.GetBytes(path + "\0"))
            {
                Descriptor = Interop.Libc.Open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
            }
        }

        internal int Descriptor { get; }

        public void Dispose() => _ = Interop.Libc.Close(Descriptor);
    }
}
