namespace SoftSgx.Images.Tests;

/// <summary>A test that asks openssl; skipped where it is not installed.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class OpensslFactAttribute : FactAttribute
{
    public OpensslFactAttribute() => Skip = IsInstalled ? null : "openssl is not installed";

    private static bool IsInstalled =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(static folder => File.Exists(Path.Combine(folder, "openssl")));
}
