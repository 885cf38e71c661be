using SoftSgx.Architecture;

namespace SoftSgx.Images.Tests;

/// <summary>Layouts that chance makes: pages of all kinds, measured, in part and not, alike and not.</summary>
internal static class RandomLayout
{
    private const ulong Page = PageContent.PageSize;

    /// <summary>A layout whose pages lie one behind the other, with holes.</summary>
    public static EnclaveLayout Create(Random random)
    {
        List<PageRun> runs = [];
        ulong offset = 0;
        int count = random.Next(1, 8);
        for (int i = 0; i < count; i++)
        {
            offset += (ulong)random.Next(3) * Page;
            PageRun run = Run(random, offset, i);
            runs.Add(run);
            offset = run.End;
        }

        return new EnclaveLayout(1UL << random.Next(20, 24), (uint)random.Next(1, 4), runs);
    }

    private static PageRun Run(Random random, ulong offset, int number)
    {
        ulong pages = (ulong)random.Next(1, 6);
        ushort chunks = random.Next(4) switch { 0 => 0, 1 => (ushort)random.Next(0x10000), _ => PageRun.AllChunks };
        if (random.Next(4) == 0)
        {
            byte[] tcs = new byte[Page];
            random.NextBytes(tcs.AsSpan(0, 72));
            return new PageRun(offset, pages, SecInfo.For(PageType.PT_TCS, SecInfoFlags.None).Flags, chunks, PageContent.Repeat(tcs), $"TCS {number}");
        }

        SecInfoFlags[] permissions = [SecInfoFlags.R, SecInfoFlags.R | SecInfoFlags.W, SecInfoFlags.R | SecInfoFlags.X, SecInfoFlags.RWX, SecInfoFlags.None];
        SecInfoFlags flags = SecInfo.For(PageType.PT_REG, permissions[random.Next(permissions.Length)]).Flags;
        return new PageRun(offset, pages, flags, chunks, Contents(random, pages), $"run {number}");
    }

    private static PageContent Contents(Random random, ulong pages)
    {
        byte[] bytes = new byte[random.Next(3) == 0 ? (int)Page : random.Next(1, (int)(pages * Page) + 1)];
        random.NextBytes(bytes);
        return random.Next(3) switch
        {
            0 => PageContent.Zero,
            1 when bytes.Length == (int)Page => PageContent.Repeat(bytes),
            _ => PageContent.Of(bytes),
        };
    }
}
