namespace SoftSgx.Images.Tests.Writers;

/// <summary>Reads bytes as a file would be read.</summary>
internal static class ImageFiles
{
    internal static EnclaveImage Read(byte[] bytes, ImageKind kind = ImageKind.Unknown) => ImageReader.Read(ImageSource.Of(bytes), kind);

    internal static byte[] Page(PageRun run, ulong index)
    {
        byte[] page = new byte[PageContent.PageSize];
        run.Content.Read(index, page);
        return page;
    }

    /// <summary>The directory "shared" in the checkout or beside it.</summary>
    internal static string SharedDirectory()
    {
        for (DirectoryInfo? directory = new(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (!File.Exists(Path.Combine(directory.FullName, "SoftSgx.slnx")))
            {
                continue;
            }

            foreach (string candidate in new[] { "shared", "../shared" })
            {
                string path = Path.GetFullPath(Path.Combine(directory.FullName, candidate));
                if (Directory.Exists(path))
                {
                    return path;
                }
            }
        }

        throw new DirectoryNotFoundException("the vectors' directory 'shared' is neither in the checkout nor beside it");
    }
}
