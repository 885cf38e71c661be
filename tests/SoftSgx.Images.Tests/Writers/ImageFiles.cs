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
}
