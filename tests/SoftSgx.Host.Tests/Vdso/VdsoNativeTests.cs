using System.Diagnostics;
using SoftSgx.Host.Vdso;
using Xunit.Abstractions;

namespace SoftSgx.Host.Tests.Vdso;

/// <summary>Runs the image's code: loaded by the dynamic linker, with a SIGSYS handler that plays the supervisor.</summary>
public sealed class VdsoNativeTests(ITestOutputHelper output)
{
    [GccFact]
    public void The_image_behaves_as_the_contract_says()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("softsgx-vdso-");
        try
        {
            string program = Path.Combine(folder.FullName, "vdso_check");
            string source = SourceFile("vdso_check.cpp");
            Assert.Equal(0, Run("g++", "-O1", "-g", "-fno-omit-frame-pointer", "-o", program, source, "-ldl"));

            VdsoImage image = VdsoImage.Build(OwnVdso.Bytes);
            string file = Path.Combine(folder.FullName, "image.so");
            File.WriteAllBytes(file, image.Relocate(realBase: 0));
            Assert.Equal(0, Run(
                program, file, $"{image.AepOffset:x}", $"{image.TrapReturnOffset:x}", $"{image.ExceptionOffset:x}",
                $"{image.EnterEnclaveOffset:x}", $"{image.EnterEnclaveEnd:x}", $"{VdsoImage.TrapMagic:x}"));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private int Run(string program, params string[] arguments)
    {
        ProcessStartInfo start = new(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        output.WriteLine(process.StandardOutput.ReadToEnd());
        output.WriteLine(errors.GetAwaiter().GetResult());
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(2)));
        return process.ExitCode;
    }

    private static string SourceFile(string name)
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "SoftSgx.slnx")))
        {
            folder = folder.Parent;
        }
        Assert.NotNull(folder);
        return Path.Combine(folder.FullName, "tests", "SoftSgx.Host.Tests", "Vdso", "native", name);
    }
}
