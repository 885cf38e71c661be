using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using SoftSgx.Cli.Images;
using SoftSgx.Host;
using SoftSgx.Images;

namespace SoftSgx.Cli.Commands;

/// <summary><c>softsgx inspect</c>: what a file of the SGX world is, and everything in it.</summary>
internal static class InspectCommand
{
    internal const string Name = "inspect";

    internal static readonly string Details =
        $"""
        Tells by its contents what kind of file FILE is and prints everything in it: headers, the SIGSTRUCT with MRSIGNER and whether the
        signature is valid, and the layout, a line for each run of pages that are added alike, in the order of building. At the end stand
        warnings for a reviewer: debug mode allowed, writable code, code that is not measured, a signer whose key everybody has, …
        No SGX and no root are needed, and nothing of the file is run.

        Structures without a magic number are told by their size and plausibility; --as settles it:
        {string.Join("\n", ImageFormat.All.Select(static format => $"  {format.Name,-12} {format.Description}"))}

        An Intel SDK enclave has a metadata block for each generation of loaders, and says different things in each; --variant shows the
        layout of another one than the current loader takes.

        Long values are cut; --json has all of everything. Warnings are there by code, stable for scripts.

        Examples:
          softsgx inspect enclave.signed.so
          softsgx inspect enclave.signed.so --json | jq -r '.warnings[].code'
          softsgx inspect enclave.signed.so --variant 0
          softsgx inspect app.sig
          softsgx inspect quote.bin --as quote --json

        Exit status: 0, also with warnings; 1 if the file cannot be read, is of no known kind or not well-formed; 2 for wrong options.
        """;

    private const int ExitFailure = 1;

    private static readonly Argument<string> s_file = new("FILE") { Description = "The file." };

    private static readonly Option<bool> s_json = new("--json") { Description = "Print JSON, for scripts." };

    private static readonly Option<ImageKind> s_as = new("--as")
    {
        Description = "Read it as a file of that kind.",
        HelpName = "KIND",
        CustomParser = static result => ParseKind(result),
    };

    private static readonly Option<int?> s_variant = new("--variant")
    {
        Description = "Show the layout of that variant, numbered from 0.",
        HelpName = "NUMBER",
    };

    internal static Command Create()
    {
        Command command = new(Name, "Say what an enclave file, a signature, a report or a quote contains.")
        {
            s_file, s_json, s_as, s_variant,
        };
        command.SetAction(
            static result => Run(result.GetValue(s_file)!, result.GetValue(s_as), result.GetValue(s_variant), result.GetValue(s_json)));
        return command;
    }

    private static int Run(string path, ImageKind kind, int? variant, bool isJson)
    {
        try
        {
            InspectedImage inspected = InspectedImage.Of(path, ImageReader.Read(path, kind), variant);
            DateOnly today = DateOnly.FromDateTime(DateTime.UtcNow);
            using Stream output = new StandardOutputStream();
            if (isJson)
            {
                InspectJson.Write(inspected, today, output);
            }
            else
            {
                using StreamWriter text = new(output) { NewLine = "\n" };
                InspectText.Write(inspected, today, text);
            }

            return 0;
        }
        catch (Exception e) when (e is ImageException or IOException or UnauthorizedAccessException or NotSupportedException)
        {
            Messages.Error($"{path}: {ReasonOf(path, e)}");
            return ExitFailure;
        }
    }

    private static string ReasonOf(string path, Exception e) => e switch
    {
        ImageException => e.Message,
        UnauthorizedAccessException => Directory.Exists(path) ? "it is a folder, not a file" : "permission denied",
        FileNotFoundException or DirectoryNotFoundException => "no such file",
        _ => e.Message,
    };

    private static ImageKind ParseKind(ArgumentResult result)
    {
        string text = result.Tokens.Count == 1 ? result.Tokens[0].Value : "";
        ImageFormat? format = ImageFormat.All.FirstOrDefault(format => format.Name == text);
        if (format is null)
        {
            result.AddError(string.Create(
                CultureInfo.InvariantCulture,
                $"'{text}' is no kind: {string.Join(", ", ImageFormat.All.Select(static format => format.Name))}."));
        }

        return format?.Kind ?? ImageKind.Unknown;
    }
}
