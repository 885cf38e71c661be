using System.Buffers.Binary;

namespace SoftSgx.Host.Devices;

/// <summary>What stat(2) and statx(2) say of a device node.</summary>
/// <remarks>The nodes are misc devices (major 10).</remarks>
internal static class DeviceStat
{
    internal const int StatSize = 144, StatxSize = 256;

    private const uint S_IFCHR = 0x2000, STATX_BASIC_STATS = 0x7ff;
    private const uint MiscMajor = 10;

    /// <summary>Device number of devtmpfs's superblock as seen in st_dev; any constant serves.</summary>
    private const uint DeviceFileSystemMinor = 5;

    private static uint Minor(DeviceNode node) => node switch
    {
        DeviceNode.Enclave or DeviceNode.EnclaveV22 => 125,
        DeviceNode.Provision or DeviceNode.ProvisionV22 => 126,
        _ => 0,
    };

    private static ulong Inode(DeviceNode node) => 1000 + (ulong)node;

    /// <summary>Fills <c>struct stat</c> of x86-64 (asm/stat.h).</summary>
    internal static void Fill(DeviceNode node, DevicePermission permission, Span<byte> stat)
    {
        stat.Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(stat, DeviceFileSystemMinor);
        BinaryPrimitives.WriteUInt64LittleEndian(stat[8..], Inode(node));
        BinaryPrimitives.WriteUInt64LittleEndian(stat[16..], 1u);
        BinaryPrimitives.WriteUInt32LittleEndian(stat[24..], S_IFCHR | permission.Mode);
        BinaryPrimitives.WriteUInt32LittleEndian(stat[28..], permission.User);
        BinaryPrimitives.WriteUInt32LittleEndian(stat[32..], permission.Group);
        BinaryPrimitives.WriteUInt64LittleEndian(stat[40..], (MiscMajor << 8) | Minor(node));
        BinaryPrimitives.WriteUInt64LittleEndian(stat[56..], 4096);
        foreach (int time in (ReadOnlySpan<int>)[72, 88, 104])
        {
            BinaryPrimitives.WriteInt64LittleEndian(stat[time..], s_started);
        }
    }

    /// <summary>Fills <c>struct statx</c> (linux/stat.h).</summary>
    internal static void FillX(DeviceNode node, DevicePermission permission, Span<byte> statx)
    {
        statx.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(statx, STATX_BASIC_STATS);
        BinaryPrimitives.WriteUInt32LittleEndian(statx[4..], 4096);
        BinaryPrimitives.WriteUInt32LittleEndian(statx[16..], 1u);
        BinaryPrimitives.WriteUInt32LittleEndian(statx[20..], permission.User);
        BinaryPrimitives.WriteUInt32LittleEndian(statx[24..], permission.Group);
        BinaryPrimitives.WriteUInt16LittleEndian(statx[28..], (ushort)(S_IFCHR | permission.Mode));
        BinaryPrimitives.WriteUInt64LittleEndian(statx[32..], Inode(node));
        foreach (int time in (ReadOnlySpan<int>)[64, 96, 112])
        {
            BinaryPrimitives.WriteInt64LittleEndian(statx[time..], s_started);
        }
        BinaryPrimitives.WriteUInt32LittleEndian(statx[128..], MiscMajor);
        BinaryPrimitives.WriteUInt32LittleEndian(statx[132..], Minor(node));
        BinaryPrimitives.WriteUInt32LittleEndian(statx[140..], DeviceFileSystemMinor);
    }

    /// <summary>The nodes are as old as this run.</summary>
    private static readonly long s_started = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
}
