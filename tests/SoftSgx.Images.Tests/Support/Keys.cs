namespace SoftSgx.Images.Tests;

/// <summary>Keys for these tests, new in each run.</summary>
internal static class Keys
{
    private static readonly Lazy<SigningKey> s_first = new(static () => SigningKey.Generate());
    private static readonly Lazy<SigningKey> s_second = new(static () => SigningKey.Generate());

    public static SigningKey First => s_first.Value;

    public static SigningKey Second => s_second.Value;
}
