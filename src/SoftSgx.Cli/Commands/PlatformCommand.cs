using System.CommandLine;
using System.CommandLine.Parsing;
using System.Security.Cryptography;
using System.Text.Json;
using SoftSgx.Cli.Options;
using SoftSgx.Cli.Platform;
using SoftSgx.Host;
using SoftSgx.Host.Platform;

namespace SoftSgx.Cli.Commands;

/// <summary><c>softsgx platform show|init|update|list|remove</c>: what a machine's fuses and firmware would say.</summary>
internal static class PlatformCommand
{
    internal const string Name = "platform";
    internal const string ShowName = "show";
    internal const string InitName = "init";
    internal const string UpdateName = "update";
    internal const string ListName = "list";
    internal const string RemoveName = "remove";

    internal const string Details =
        """
        A platform is what makes keys and reports one machine's own: fuse secrets, owner epoch, CPUSVN, and what firmware set up. Data
        that an enclave seals on one platform opens on that platform only. The first run makes the platform "default"; softsgx run
        --platform NAME uses another one. Platforms are files below $XDG_STATE_HOME/softsgx (by default ~/.local/state/softsgx) that
        their owner alone can read. Whoever reads one can derive all its keys. docs/platform.md says more.

        Examples:
          softsgx platform show
          softsgx platform init old-machine --sgx1 --epc 96M
          softsgx run --platform old-machine ./my-enclave-app
          softsgx platform list --json | jq -r '.[].name'
        """;

    internal const string ShowDetails =
        """
        CPUID leaf 0x12 register by register, the launch-control MSRs of every processor as firmware leaves them, and the memory map with
        the EPC as reserved ranges. No secret is shown. Without a name: the platform "default".

        Examples:
          softsgx platform show
          softsgx platform show ci --json | jq '.memoryMap[] | select(.isEpc)'

        Exit status: 0; 1 if there is no such platform or its file is damaged.
        """;

    internal const string InitDetails =
        """
        Makes a platform that there was none like before.

        Examples:
          softsgx platform init ci
          softsgx platform init old-microcode --cpusvn 01010000000000000000000000000000
          softsgx platform init locked --launch-control locked:83d719e77deaca1470f6baf62a4d774303c899db69020f9c70ee1dfc08c7ce9e
          softsgx platform init two-nodes --epc 64M@0,64M@1

        Exit status: 0; 1 if there is one of that name, or the file cannot be written.
        """;

    internal const string UpdateDetails =
        """
        Changes what is given and keeps the rest. The fuse secrets stay. A CPUSVN can only rise, as by a microcode update: keys of older
        versions can still be derived by enclaves that ask for them, so data sealed before opens. Another owner epoch is what firmware sets
        when a machine changes hands: data sealed before does not open until the former one is set again.

        Examples:
          softsgx platform update ci --cpusvn 02020101000000000000000000000000
          softsgx platform update default --epc 1G
          softsgx platform update ci --owner-epoch random

        Exit status: 0; 1 if there is no such platform, or it cannot be changed so.
        """;

    internal const string ListDetails =
        """
        One line for each platform. One whose file is damaged is listed with what is wrong with it.

        Examples:
          softsgx platform list
          softsgx platform list --json

        Exit status: 0; 1 if one of them is damaged.
        """;

    internal const string RemoveDetails =
        """
        Data sealed on the platform can never be opened again, so --yes has to be given. A damaged file can be removed too.

        Examples:
          softsgx platform remove ci --yes

        Exit status: 0; 1 if there is no such platform, or --yes is missing.
        """;

    private const int ExitFailure = 1;
    private const int RegisterSize = 16;

    private static readonly Argument<string> s_name = new("name") { Description = "Name of the platform." };

    private static readonly Argument<string> s_nameOrDefault = new("name")
    {
        Description = "Name of the platform.",
        DefaultValueFactory = static _ => PlatformIdentity.DefaultName,
    };

    private static readonly Option<bool> s_json = new("--json") { Description = "Print JSON, for scripts." };

    private static readonly Option<bool> s_yes = new("--yes") { Description = "Yes, data sealed on it may be lost." };

    private static readonly Option<byte[]> s_cpuSvn = new("--cpusvn")
    {
        Description = "CPUSVN: sixteen components, two hexadecimal digits each.",
        HelpName = "HEX",
        CustomParser = static result => Register(result, random: false),
    };

    private static readonly Option<byte[]> s_ownerEpoch = new("--owner-epoch")
    {
        Description = "Owner epoch: 32 hexadecimal digits, or random. All keys but the provisioning keys depend on it.",
        HelpName = "HEX|random",
        CustomParser = static result => Register(result, random: true),
    };

    private static readonly Option<bool?> s_sgx1 = new("--sgx1")
    {
        Description = "The processor has SGX1 only; --sgx1=false: SGX2 too.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private static readonly Option<LaunchControlSetting> s_launchControl = new("--launch-control")
    {
        Description = "What firmware made of launch control.",
        HelpName = "writable|locked[:MRSIGNER]|absent",
        CustomParser = static result =>
            Checked(result, LaunchControlSetting.Parse(Text(result), out LaunchControlSetting setting), setting),
    };

    private static readonly Option<string> s_epc = new("--epc")
    {
        Description = "Size of the EPC, or sections of it on NUMA nodes, for runs that do not say it themselves.",
        HelpName = "SIZE[@NODE][,SIZE[@NODE]…]",
        CustomParser = static result => Checked(result, EpcOption.Parse(Text(result), out _), Text(result)),
    };

    internal static Command Create()
    {
        Command show = new(ShowName, "Show a platform: CPUID, launch control, memory map.") { s_nameOrDefault, s_json };
        show.SetAction(static result => Guarded(() => Show(result)));
        Command init = new(InitName, "Make a platform.") { s_name, s_cpuSvn, s_ownerEpoch, s_sgx1, s_launchControl, s_epc };
        init.SetAction(static result => Guarded(() => Init(result)));
        Command update = new(UpdateName, "Change a platform: raise its CPUSVN, set what firmware sets.")
        {
            s_name, s_cpuSvn, s_ownerEpoch, s_sgx1, s_launchControl, s_epc,
        };
        update.SetAction(static result => Guarded(() => Update(result)));
        Command list = new(ListName, "List the platforms.") { s_json };
        list.SetAction(static result => Guarded(() => List(result)));
        Command remove = new(RemoveName, "Remove a platform and all its keys.") { s_name, s_yes };
        remove.SetAction(static result => Guarded(() => Remove(result)));
        return new Command(Name, "Show, make and remove platforms: whose keys, processor and EPC programs find.")
        {
            show, init, update, list, remove,
        };
    }

    private static int Guarded(Func<int> command)
    {
        try
        {
            return command();
        }
        catch (HostException e)
        {
            Messages.Error(e.Message);
            return ExitFailure;
        }
    }

    private static int Show(ParseResult result)
    {
        string name = result.GetValue(s_nameOrDefault)!;
        PlatformIdentity? platform = PlatformDirectory.OfThisUser.Find(name);
        if (platform is null && name != PlatformIdentity.DefaultName)
        {
            throw new HostException(
                $"there is no platform '{name}': make it with softsgx platform init {name}, or see softsgx platform list");
        }
        PlatformDocument document = PlatformDocument.Of(platform ?? new PlatformIdentity(name, default), isMade: platform is not null);
        Console.Out.Write(result.GetValue(s_json)
            ? JsonSerializer.Serialize(document, PlatformDocumentJson.Default.PlatformDocument) + "\n"
            : PlatformText.Write(document));
        return 0;
    }

    private static int Init(ParseResult result)
    {
        PlatformIdentity platform = PlatformDirectory.OfThisUser.Create(result.GetValue(s_name)!, platform => Set(platform, result));
        Console.Out.WriteLine($"platform {platform.Name}, fingerprint {platform.Fingerprint}, kept in {platform.File}");
        return 0;
    }

    private static int Update(ParseResult result)
    {
        Option[] options = [s_cpuSvn, s_ownerEpoch, s_sgx1, s_launchControl, s_epc];
        if (options.All(option => result.GetResult(option) is null))
        {
            throw new HostException($"nothing to change: give any of {string.Join(", ", options.Select(static option => option.Name))}");
        }
        PlatformIdentity platform = PlatformDirectory.OfThisUser.Update(result.GetValue(s_name)!, platform => Set(platform, result));
        Console.Out.WriteLine($"platform {platform.Name}, fingerprint {platform.Fingerprint}, kept in {platform.File}");
        return 0;
    }

    private static int List(ParseResult result)
    {
        PlatformDirectory platforms = PlatformDirectory.OfThisUser;
        List<PlatformLine> lines = [];
        foreach (string name in platforms.Names())
        {
            try
            {
                if (platforms.Find(name) is PlatformIdentity platform) // else somebody has just removed it
                {
                    lines.Add(new PlatformLine(
                        name,
                        platform.Fingerprint,
                        Convert.ToHexStringLower(platform.CpuSvn.Span),
                        platform.LaunchControl.ToString(),
                        platform.Sgx1,
                        platform.Epc,
                        PlatformDocument.Text(platform.Created),
                        platform.File,
                        Problem: null));
                }
            }
            catch (HostException e)
            {
                lines.Add(new PlatformLine(name, null, null, null, null, null, null, null, e.Message));
            }
        }
        Console.Out.Write(result.GetValue(s_json)
            ? JsonSerializer.Serialize(lines, PlatformDocumentJson.Default.IReadOnlyListPlatformLine) + "\n"
            : PlatformText.Write(lines));
        return lines.Exists(static line => line.Problem is not null) ? ExitFailure : 0;
    }

    private static int Remove(ParseResult result)
    {
        string name = result.GetValue(s_name)!;
        if (!result.GetValue(s_yes))
        {
            throw new HostException($"data sealed on the platform '{name}' can never be opened without it: give --yes if that is meant");
        }
        foreach (string path in PlatformDirectory.OfThisUser.Remove(name))
        {
            Console.Out.WriteLine($"removed {path}");
        }
        return 0;
    }

    private static PlatformIdentity Set(PlatformIdentity platform, ParseResult result) => platform with
    {
        // The library gives an empty array for an option that is not there.
        CpuSvn = result.GetResult(s_cpuSvn) is null ? platform.CpuSvn : result.GetValue(s_cpuSvn),
        OwnerEpoch = result.GetResult(s_ownerEpoch) is null ? platform.OwnerEpoch : result.GetValue(s_ownerEpoch),
        Sgx1 = result.GetResult(s_sgx1) is null ? platform.Sgx1 : result.GetValue(s_sgx1) ?? true,
        LaunchControl = result.GetValue(s_launchControl) ?? platform.LaunchControl,
        Epc = result.GetValue(s_epc) ?? platform.Epc,
    };

    private static byte[]? Register(ArgumentResult result, bool random)
    {
        byte[] bytes = new byte[RegisterSize];
        string text = Text(result);
        if (random && text == "random")
        {
            RandomNumberGenerator.Fill(bytes);
            return bytes;
        }
        string? problem = HexField.TryParse(text, bytes) ? null
            : $"'{text}' does not have {2 * RegisterSize} hexadecimal digits"
                + (random ? ": give them, or random." : ", as 01010101000000000000000000000000 has.");
        return Checked(result, problem, bytes);
    }

    private static string Text(ArgumentResult result) => result.Tokens.Count == 1 ? result.Tokens[0].Value : "";

    private static T? Checked<T>(ArgumentResult result, string? problem, T value)
        where T : class
    {
        if (problem is not null)
        {
            result.AddError($"{((OptionResult)result.Parent!).Option.Name}: {problem}");
            return null;
        }
        return value;
    }
}
