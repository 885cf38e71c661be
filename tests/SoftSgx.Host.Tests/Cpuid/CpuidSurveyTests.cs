using Xunit.Abstractions;

namespace SoftSgx.Host.Tests.Cpuid;

/// <summary>The scanner on the programs of the machine that the tests run on.</summary>
public sealed class CpuidSurveyTests(ITestOutputHelper output)
{
    /// <summary>Colon-separated folders for <see cref="No_file_in_the_given_folders_has_a_false_site"/>.</summary>
    private const string FoldersVariable = "SOFTSGX_CPUID_SURVEY";

    // The first is where CPUID is needed most; the others are known for bytes that only look like it.
    private static readonly string[] s_files =
    [
        "/lib64/ld-linux-x86-64.so.2",
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/usr/lib64/libc.so.6",
        "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
        "/usr/lib64/libcrypto.so.3",
        "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
        "/usr/lib64/libstdc++.so.6",
        "/usr/lib/x86_64-linux-gnu/libgcc_s.so.1",
        "/bin/bash",
        "/usr/bin/python3",
        "/usr/bin/node",
        Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, "libcoreclr.so"),
    ];

    private sealed class SurveyFactAttribute : FactAttribute
    {
        public SurveyFactAttribute()
        {
            if (Environment.GetEnvironmentVariable(FoldersVariable) is null)
            {
                Skip = $"{FoldersVariable} names no folders";
            }
        }
    }

    [Fact]
    public void No_well_known_file_has_a_false_site_and_few_true_ones_are_missed() => Survey(s_files.Where(File.Exists));

    [SurveyFact]
    public void No_file_in_the_given_folders_has_a_false_site()
    {
        EnumerationOptions options = new()
        {
            RecurseSubdirectories = true,
            AttributesToSkip = FileAttributes.ReparsePoint,
        };
        string[] folders = Environment.GetEnvironmentVariable(FoldersVariable)!.Split(':');
        Survey(folders.SelectMany(folder => Directory.EnumerateFiles(folder, "*", options)));
    }

    private void Survey(IEnumerable<string> paths)
    {
        int instructions = 0, found = 0, others = 0, unknown = 0, unknownAccepted = 0;
        List<string> wrong = [];
        output.WriteLine("found/true  accepted/unknown  rejected  file");
        foreach (string path in paths)
        {
            List<CpuidSurvey.Match> matches;
            try
            {
                matches = CpuidSurvey.Of(path);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or OverflowException)
            {
                continue; // not readable, too large, or not the ELF file that it seems to be
            }
            if (matches.Count == 0)
            {
                continue;
            }
            int fileTrue = matches.Count(m => m.Truth == CpuidSurvey.Truth.Instruction);
            int fileFound = matches.Count(m => m.Truth == CpuidSurvey.Truth.Instruction && m.Accepted);
            int fileUnknown = matches.Count(m => m.Truth == CpuidSurvey.Truth.Unknown);
            int fileUnknownAccepted = matches.Count(m => m.Truth == CpuidSurvey.Truth.Unknown && m.Accepted);
            int fileOthers = matches.Count - fileTrue - fileUnknown;
            output.WriteLine($"{fileFound,5}/{fileTrue,-4}  {fileUnknownAccepted,8}/{fileUnknown,-7}  {fileOthers,8}  {path}");
            wrong.AddRange(matches
                .Where(m => m.Accepted && m.Truth is CpuidSurvey.Truth.PartOfAnother or CpuidSurvey.Truth.Data)
                .Select(m => $"{path} at {m.Address:x}"));
            instructions += fileTrue;
            found += fileFound;
            unknown += fileUnknown;
            unknownAccepted += fileUnknownAccepted;
            others += fileOthers;
        }
        output.WriteLine($"{found,5}/{instructions,-4}  {unknownAccepted,8}/{unknown,-7}  {others,8}  in all");
        Assert.Empty(wrong);
        Assert.True(found >= instructions * 0.97, $"{found} of {instructions}");
    }
}
