namespace SoftSgx.Images;
/// <summary>to come</summary>
public static class ImageReview { }
