namespace SoftSgx.Images;
internal static class KnownTestKeys { internal static string? Of(in SoftSgx.Architecture.Hash256 mrSigner) => null; }
