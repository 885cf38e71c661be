using SoftSgx.Architecture;
using SoftSgx.Images.Tests.Writers;
using Xunit.Abstractions;
using SoftSgx.Tests;

namespace SoftSgx.Images.Tests.Fuzz;

/// <summary>
/// Truncated, corrupted and hostile variants of well-formed files of each format: reading one, laying it out and reviewing it gives a
/// result or an <see cref="ImageException"/>, never anything else. A case is its seed. SOFTSGX_SOAK=1: a hundred thousand of each format;
/// SOFTSGX_FUZZ=FIRST,COUNT chooses the seeds.
/// </summary>
public sealed class ImageFuzzTests(ITestOutputHelper output)
{
    private const int ShortRun = 1_500;
    private const int LongRun = 100_000;
    private const int MostPagesRead = 64;

    // The files have some 30 KiB; the largest layouts that are allowed, and the sorting of them, stay below this.
    private const long MostAllocated = 96 << 20;

    private static readonly Dictionary<string, Func<byte[][]>> s_formats = new()
    {
        ["sdk"] = static () =>
        [
            SdkWriter.Elf(new SdkWriter().Usual(0x6000, 3).Patch(0x40, [1, 2, 3]).Block()),
            SdkWriter.Elf(
                [(22, 0), (7, 0x7000), (8, 72)],
                new SdkWriter { Version = (2, 4) }.Usual(0x6000, 2).Block(), new SdkWriter { Version = (1, 3) }.Usual(0x6000, 0).Block()),
            SdkWriter.Elf(new SdkWriter { Version = (13, 3), ElRange = (0x200000, 0, 0x400000) }.Usual(0x6000, 1).Block()),
        ],
        ["sdk-pe"] = static () => [new PeWriter().Build(), new PeWriter { Is64 = false, Minor = 1, Threads = 1 }.Build()],
        ["openenclave"] = static () =>
        [
            new OpenEnclaveWriter().Build(),
            new OpenEnclaveWriter { Flags = 2, StartAddress = 0x20000 }.Build(),
            new OpenEnclaveWriter { Configuration = 24, Symbols = ["_enclave_rva", "_reloc_rva", "_reloc_size"] }.Build(),
        ],
        ["selftest"] = static () => [Formats.SelftestReaderTests.Enclave()],
        ["gramine"] = static () => [Formats.GramineManifestTests.Manifest()],
        ["sgxs"] = static () =>
        [
            new SgxsWriter(0x10000)
                .Page(0, 0x205, SdkWriter.Pattern(4096, 1)).Page(0x1000, 0x205, SdkWriter.Pattern(4096, 2))
                .Page(0x3000, 0x100, SdkWriter.Pattern(4096, 3)).Page(0x5000, 0x203, SdkWriter.Pattern(4096, 4), 0x00f0, 0x0f00)
                .Page(0x8000, 0x203, [], 0).Build(),
        ],
        ["sigstruct"] = static () =>
            [File.ReadAllBytes(Directory.GetFiles(Path.Combine(SharedDirectory.Find(), "vectors", "sigstruct"))[0])],
        ["einittoken"] = static () => [new byte[EInitToken.Size]],
        ["report"] = static () => [Formats.StructureReaderTests.ReportBytes()],
        ["targetinfo"] = static () => [Formats.StructureReaderTests.TargetInfoBytes()],
        ["quote"] = static () =>
        [
            .. Directory.GetFiles(Path.Combine(SharedDirectory.Find(), "vectors", "quotes"), "*.quote").Order()
                .Select(File.ReadAllBytes),
            Formats.QuoteReaderTests.Epid(), Formats.QuoteReaderTests.TrustDomain(4), Formats.QuoteReaderTests.TrustDomain(5),
        ],
    };

    public static TheoryData<string> FormatNames => [.. s_formats.Keys];

    [Theory]
    [MemberData(nameof(FormatNames))]
    public void Hostile_files_give_a_result_or_one_clear_error(string format)
    {
        byte[][] valid = s_formats[format]();
        ImageKind kind = ImageFormat.All.Single(known => known.Name == format).Kind;
        foreach (byte[] file in valid)
        {
            Assert.Equal(kind, Look(file, kind).Kind);
        }

        (int first, int count) = Seeds();
        int results = 0;
        for (int seed = first; seed < first + count; seed++)
        {
            Random random = new(seed);
            byte[] file = Mutation.Of(valid[random.Next(valid.Length)], random);
            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                Look(file, random.Next(2) == 0 ? kind : ImageKind.Unknown);
                results++;
            }
            catch (ImageException e)
            {
                Assert.DoesNotContain('\n', e.Message);
                Assert.InRange(e.Message.Length, 10, 400);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"format {format}, seed {seed}: {e.GetType().Name}", e);
            }

            long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(allocated <= MostAllocated, $"format {format}, seed {seed}: {allocated >> 20} MiB");
        }

        output.WriteLine($"{format}: {count:N0} cases, {results:N0} of them readable");
    }

    private static (int First, int Count) Seeds()
    {
        string? chosen = Environment.GetEnvironmentVariable("SOFTSGX_FUZZ");
        if (chosen?.Split(',') is [string first, string count])
        {
            return (int.Parse(first, null), int.Parse(count, null));
        }

        return (1, Environment.GetEnvironmentVariable("SOFTSGX_SOAK") == "1" ? LongRun : ShortRun);
    }

    // What inspect does, and the contents of some pages.
    private static EnclaveImage Look(byte[] file, ImageKind kind)
    {
        EnclaveImage image = ImageFiles.Read(file, kind);
        ImageReview.Of(image, new DateOnly(2026, 1, 1));
        int most = Math.Max(LayoutBuilder.MaximumRuns, file.Length / SgxsReader.RecordSize);
        byte[] page = new byte[PageContent.PageSize];
        foreach (EnclaveLayout? layout in image.Variants.Select(static variant => variant.Layout).Append(image.Layout))
        {
            int runs = 0;
            foreach (PageRun run in layout?.Runs ?? [])
            {
                Assert.InRange(++runs, 1, most);
                Assert.True(run.PageCount > 0 && run.Offset % PageContent.PageSize == 0 && run.End > run.Offset && run.End <= layout!.Size);
                if (runs <= MostPagesRead)
                {
                    run.Content.Read(0, page);
                    run.Content.Read(run.PageCount - 1, page);
                }
            }

            Assert.InRange(image.Reserved.Count, 0, LayoutBuilder.MaximumRuns);
        }

        return image;
    }
}
