using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using SoftSgx.Images;

namespace SoftSgx.Cli.Measuring;

/// <summary>What <c>softsgx measure --trace --summary</c> writes: one line for pages that are added alike.</summary>
internal static class RunSummary
{
    /// <summary>Writes the lines of a layout.</summary>
    internal static void Write(Stream output, EnclaveLayout layout)
    {
        Line(output, $"ECREATE size 0x{layout.Size:x16} ssaframesize {layout.SsaFrameSize}");
        byte[] page = new byte[PageContent.PageSize];
        foreach (PageRun run in layout.Runs)
        {
            string chunks = run.MeasuredChunks switch
            {
                0 => "not-measured",
                PageRun.AllChunks => "measured",
                ushort some => $"measured-0x{some:x4}",
            };
            string contents = run.MeasuredChunks == 0 ? "" : " " + Digest(run, page);
            string what = $"{PageNames.Type(run.Flags)} {PageNames.Permissions(run.Flags)} {chunks}{contents}";
            Line(output, $"EADD    0x{run.Offset:x16} {run.PageCount} {what} {FileProblemException.Printable(run.Name)}");
        }
    }

    /// <summary>SHA-256 of the contents, or of one page if all are the same.</summary>
    private static string Digest(PageRun run, byte[] page)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        ulong pages = run.Content.IsUniform ? 1 : run.PageCount;
        for (ulong i = 0; i < pages; i++)
        {
            run.Content.Read(i, page);
            hash.AppendData(page);
        }

        return (run.Content.IsUniform ? "each:" : "") + Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void Line(Stream output, FormattableString line) =>
        output.Write(Encoding.UTF8.GetBytes(line.ToString(CultureInfo.InvariantCulture) + "\n"));
}
