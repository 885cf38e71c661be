namespace SoftSgx.Images.Tests;

public sealed class ImageReaderTests
{
    [Fact]
    public void AnEmptyFileIsNoEnclave()
    {
        string path = Path.GetTempFileName();
        try
        {
            Assert.Throws<ImageException>(() => ImageReader.Read(path));
        }
        finally
        {
            File.Delete(path);
        }
    }
}
