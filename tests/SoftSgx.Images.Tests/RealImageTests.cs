using System.Text.RegularExpressions;
using Xunit.Abstractions;

namespace SoftSgx.Images.Tests;

/// <summary>
/// Enclaves that others built and signed, none of which is kept in this repository: SOFTSGX_IMAGES names a folder of them. Each measures
/// to the MRENCLAVE in its name, if it has one, and in its signature, by the metadata that the loader takes and by every other.
/// </summary>
public sealed partial class RealImageTests(ITestOutputHelper output)
{
    [RealImagesFact]
    public void Every_enclave_measures_to_what_it_says()
    {
        int enclaves = 0;
        List<string> wrong = [];
        foreach (string path in Directory.EnumerateFiles(RealImagesFactAttribute.Folder!, "*", SearchOption.AllDirectories).Order())
        {
            EnclaveImage image = ImageReader.Read(path);
            IEnumerable<(string Name, EnclaveLayout? Layout, Architecture.SigStruct? Signature)> variants = image.Variants.Count > 0
                ? image.Variants.Select(static variant => (variant.Name, variant.Layout, variant.Signature))
                : [(image.Format, image.Layout, image.Signature)];
            foreach ((string name, EnclaveLayout? layout, Architecture.SigStruct? signature) in variants)
            {
                if (layout is null || signature is null)
                {
                    output.WriteLine($"{Path.GetFileName(path)}: {image.Format}: no layout or no signature");
                    continue;
                }

                string measured = MeasurementOracle.Measure(layout).ToString();
                Match match = Measurement().Match(Path.GetFileName(path));
                bool isRight = measured == signature.Value.EnclaveHash.ToString() && (!match.Success || match.Value == measured);
                output.WriteLine($"{(isRight ? "right" : "WRONG")} {Path.GetFileName(path)}: {name}: {measured}");
                enclaves++;
                if (!isRight)
                {
                    wrong.Add($"{path}, {name}");
                }
            }
        }

        Assert.NotEqual(0, enclaves);
        Assert.Empty(wrong);
    }

    [GeneratedRegex("[0-9a-f]{64}")]
    private static partial Regex Measurement();
}

/// <summary>A test that needs enclaves of others.</summary>
internal sealed class RealImagesFactAttribute : FactAttribute
{
    public RealImagesFactAttribute()
    {
        if (!Directory.Exists(Folder)) Skip = "no enclaves of others here: set SOFTSGX_IMAGES to a folder of them";
    }

    internal static string? Folder => Environment.GetEnvironmentVariable("SOFTSGX_IMAGES");
}
