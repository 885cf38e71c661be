using System.CommandLine;
using SoftSgx.Host;

namespace SoftSgx.Cli.Commands;

/// <summary><c>softsgx run [options] [--] program args…</c></summary>
internal static class RunCommand
{
    internal const string Name = "run";

    private static readonly Option<ulong> s_epc = new("--epc")
    {
        Description = "Size of the EPC that all enclaves of the run share, e.g. 64M or 1G.",
        HelpName = "SIZE",
        DefaultValueFactory = static _ => 128UL << 20,
        CustomParser = static result => ByteSize.Parse(result),
    };

    private static readonly Option<bool> s_genuineIntel = new("--genuine-intel")
    {
        Description = "Let CPUID report the vendor GenuineIntel, for programs that look for it.",
    };

    private static readonly Argument<string[]> s_program = new("program")
    {
        Description = "The program to run, and its arguments.",
        Arity = ArgumentArity.OneOrMore,
        HelpName = "program args",
    };

    /// <summary>What help says beyond the options.</summary>
    internal const string Details =
        """
        The program and everything that it starts find the devices /dev/sgx_enclave and /dev/sgx_provision, a processor that
        enumerates SGX, and __vdso_sgx_enter_enclave. Standard streams, signals and exit status are the program's own; softsgx ends
        when the last process has ended. SoftSGX is no security boundary: whoever owns the machine can read the enclaves.

        Examples:
          softsgx run ./my-enclave-app --its-own-option
          softsgx run --epc 64M ./my-enclave-app
          softsgx run bash                    a shell in which every program finds SGX

        Exit status: the program's own; 125 if softsgx fails, 126 if the program cannot be executed, 127 if it is not found.
        """;

    internal static Command Create()
    {
        Command command = new(Name, "Run an unmodified SGX program on this machine.")
        {
            s_epc,
            s_genuineIntel,
            s_program,
        };
        command.SetAction(static result => ProgramRunner.Run(
            new RunOptions
            {
                EpcBytes = result.GetValue(s_epc),
                GenuineIntel = result.GetValue(s_genuineIntel),
                ArgumentCount = result.GetValue(s_program)!.Length,
            },
            Messages.Error));
        return command;
    }

    /// <summary>
    /// Puts <c>--</c> before the program's name: everything from there on is the program's, whatever options of ours it looks like.
    /// </summary>
    internal static string[] SeparateProgram(string[] args)
    {
        if (args.Length == 0 || args[0] != Name)
        {
            return args;
        }
        int at = 1;
        while (at < args.Length && args[at].StartsWith('-') && args[at] != "--")
        {
            at += args[at] == s_epc.Name ? 2 : 1;
        }
        return at >= args.Length || args[at] == "--" ? args : [.. args[..at], "--", .. args[at..]];
    }
}
