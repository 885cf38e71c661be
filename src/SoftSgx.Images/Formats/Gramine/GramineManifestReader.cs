using System.Globalization;

namespace SoftSgx.Images;

/// <summary>
/// Reads Gramine manifests (.manifest and .manifest.sgx): what an enclave of Gramine is configured to be. Its pages are those of Gramine's
/// own loader, of the LibOS and of this text, so the layout needs Gramine's files and its gramine-sgx-sign.
/// Gramine, Documentation/manifest-syntax.rst and python/graminelibos/sgx_sign.py.
/// </summary>
internal static class GramineManifestReader
{
    private static readonly string[] s_shown =
    [
        "libos.entrypoint", "loader.entrypoint", "loader.entrypoint.uri", "loader.log_level", "loader.argv",
        "loader.insecure__use_cmdline_argv",
        "loader.insecure__use_host_env", "sgx.enclave_size", "sgx.enclave_base", "sgx.max_threads", "sgx.thread_num", "sgx.debug",
        "sgx.isvprodid",
        "sgx.isvsvn", "sgx.remote_attestation", "sgx.edmm_enable", "sgx.use_exinfo", "sgx.kss", "sgx.isvextprodid", "sgx.isvfamilyid",
        "sgx.seal_key.flags_mask", "sgx.seal_key.xfrm_mask", "sgx.seal_key.misc_mask", "sgx.file_check_policy", "sgx.date",
        "sgx.preheat_enclave",
        "sgx.cpu_features", "sgx.allowed_files", "sgx.insecure__allow_memfaults_without_exinfo", "sgx.insecure__rpc_thread_num",
        "sgx.enable_stats", "sgx.profile.enable", "sgx.vtune_profile", "sgx.nonpie_binary",
    ];

    /// <summary>True if a file may be one: text with the keys that each manifest has.</summary>
    internal static bool IsPlausible(ReadOnlySpan<byte> bytes) =>
        !bytes.Contains((byte)0)
        && (bytes.IndexOf("libos"u8) >= 0 || bytes.IndexOf("loader"u8) >= 0)
        && bytes.IndexOf("entrypoint"u8) >= 0
        && bytes.Contains((byte)'=');

    internal static EnclaveImage Read(ImageBytes bytes)
    {
        IReadOnlyList<TomlValue> values = TomlDocument.Read(bytes.All.Span);
        FactList facts = new("Gramine manifest");
        foreach (TomlValue value in values)
        {
            if (s_shown.Any(name => value.Name == name || IsPart(value.Name, name)))
            {
                facts.Text(value.Name, value.Text);
            }
        }

        List<TomlValue> trusted = [.. values.Where(static value => IsFile(value, "sgx.trusted_files"))];
        List<TomlValue> allowed = [.. values.Where(static value => IsFile(value, "sgx.allowed_files"))];
        facts.Count("trusted files", (ulong)trusted.Count).Count("allowed files", (ulong)allowed.Count);
        int hashes = values.Count(
            static value =>
                value.Name.StartsWith("sgx.trusted_files", StringComparison.Ordinal)
                    && value.Name.EndsWith(".sha256", StringComparison.Ordinal));
        return new EnclaveImage
        {
            Format = hashes > 0 ? "Gramine manifest, ready to be signed (.manifest.sgx)" : "Gramine manifest",
            Kind = ImageKind.GramineManifest,
            Facts = [facts.Build(), .. trusted.Count > 0 ? [Files("trusted files", trusted, values)] : Array.Empty<FactGroup>()],
            Notes =
            [
                "Its layout is made of Gramine's own binaries and this text: gramine-sgx-sign builds it. The signature is in the "
                    + ".sig file beside it.",
            ],
            FormatWarnings = [.. Warnings(values, allowed)],
        };
    }

    private static bool IsPart(string name, string of) =>
        name.Length > of.Length && name.StartsWith(of, StringComparison.Ordinal) && name[of.Length] is '[' or '.';

    private static bool IsFile(TomlValue value, string list) =>
        IsPart(value.Name, list) && (value.Name.EndsWith(".uri", StringComparison.Ordinal) || value.Name.EndsWith(']'));

    private static FactGroup Files(string title, List<TomlValue> files, IReadOnlyList<TomlValue> values)
    {
        const int Shown = 1024;
        Dictionary<string, string> hashes = [];
        foreach (TomlValue value in values)
        {
            if (value.Name.EndsWith(".sha256", StringComparison.Ordinal))
            {
                hashes[value.Name[..^".sha256".Length]] = value.Text;
            }
        }

        FactList facts = new(title);
        foreach (TomlValue file in files.Take(Shown))
        {
            string owner = file.Name.EndsWith(".uri", StringComparison.Ordinal) ? file.Name[..^".uri".Length] : file.Name;
            facts.Text(file.Text, hashes.GetValueOrDefault(owner, "no hash"));
        }

        if (files.Count > Shown)
        {
            facts.Text("more", string.Create(CultureInfo.InvariantCulture, $"{files.Count - Shown} files"));
        }

        return facts.Build();
    }

    private static IEnumerable<ReviewWarning> Warnings(IReadOnlyList<TomlValue> values, List<TomlValue> allowed)
    {
        foreach (TomlValue value in values)
        {
            bool isOn = value.Text is "true" or "1";
            if (value.Name == "sgx.debug" && isOn)
            {
                yield return new ReviewWarning(
                    ReviewWarning.DebugAllowed, "sgx.debug is on: whoever runs the enclave may read and write its memory");
            }
            else if (value.Name.Contains("insecure__", StringComparison.Ordinal) && value.Text is not "false" and not "0")
            {
                yield return new ReviewWarning(
                    ReviewWarning.InsecureSetting, $"{FactList.Printable(value.Name)} is set: Gramine calls that insecure");
            }
        }

        if (allowed.Count > 0)
        {
            yield return new ReviewWarning(
                ReviewWarning.InsecureSetting, $"{allowed.Count} files are allowed without being checked (sgx.allowed_files)");
        }
    }
}
