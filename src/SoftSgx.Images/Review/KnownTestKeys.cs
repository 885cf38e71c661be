using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>
/// Signers whose private key everybody has: they stand in the repositories of SDKs, which sign their samples, tests and debug enclaves
/// with them. Each MRSIGNER here was computed from the key file named.
/// </summary>
public static class KnownTestKeys
{
    private static readonly Dictionary<string, string> s_owners = new(StringComparer.Ordinal)
    {
        ["83d719e77deaca1470f6baf62a4d774303c899db69020f9c70ee1dfc08c7ce9e"] = "the Intel SDK's samples (Enclave_private_test.pem)",
        ["c30446b4be9baf0f69728423ea613ef81a63e72acf7439fa0549001fd5482835"] = "the Intel SDK's sample LocalAttestation",
        ["60277ad2fdfc57e980e876e7f878ac1909880ea5380795a7e8ea98b157841f85"] = "the Intel SDK's sample RemoteAttestation",
        ["07a2cf8fe5e57c1321e852797462924ee9b3b1d2bfcba0723b8fb346df646391"] = "the Intel SDK's sample SealUnseal",
        ["3f9c8961f7043bb2c0f0ea848da8c47c43f0c811631f43b59e9ceb84fb31d128"] = "the Intel SDK's sample SealedData",
        ["5e70caf3b3bb3b5dfaacfeaea8c2170d94e2f8c347b896f38640692b770e223f"] = "the Intel SDK's Eclipse plug-in",
        ["9664d90755bd901069d4725cdd428038473d726f1cec0edf0d78e18a596b1d4e"] = "test enclaves of the Intel SDK's launch enclave",
        ["fbbf17d6b0700e63ad55520f17ed6d2e06c2832217cd992bad243b5022ee83bc"] = "the Intel SDK's reference launch enclave",
        ["87a2d1e47c030a17f8432296e62944f5435bb98b581ba06d2f0f268c6dd09a92"] = "the Intel SDK's simulated certification enclave",
        ["c87c2f0142180e15f48270a6b4ccc5b1b4e1569528c1080511591998f0714994"] = "Intel DCAP's test quote verification enclave",
        ["6c1c59c89ed4dd9825649494fcb2ebf96a8a617a1d0589fe0147f0ef1b3f784d"] = "the attested TLS sample's client (Open Enclave, Intel SDK)",
        ["9fa48b1629bd246a1de3d38fb7df97f6554cd65d6b3b72e85b86848ae6b578ba"] = "the attested TLS sample's server (Open Enclave, Intel SDK)",
        ["3b0afc0422ae85733e021ad4df327acecb8a5b6d390c97187dde080153e0fb70"] = "Open Enclave's Visual Studio template",
        ["ca9ad7331448980aa28890ce73e433638377f179ab4456b2fe237193193a8d0a"] = "Open Enclave's debug-signing key",
        ["9affcfae47b848ec2caf1c49b4b283531e1cc425f93582b36806e52a43d78d1a"] = "Fortanix's enclave runner (dummy.key)",
    };

    /// <summary>Whose key it is; null if it is none of them.</summary>
    public static string? Owner(Hash256 mrSigner) => s_owners.GetValueOrDefault(mrSigner.ToString());
}
