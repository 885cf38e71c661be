namespace SoftSgx.Images;
internal static class SdkPeReader { internal static EnclaveImage Read(ImageBytes bytes) => throw new ImageException("PE: to come"); }
