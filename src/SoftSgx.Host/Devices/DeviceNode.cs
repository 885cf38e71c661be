namespace SoftSgx.Host.Devices;

/// <summary>The device files that a supervised program finds although the machine has none.</summary>
internal enum DeviceNode
{
    /// <summary>None of ours.</summary>
    None,

    /// <summary><c>/dev/sgx_enclave</c>, Linux 5.11 and later.</summary>
    Enclave,

    /// <summary><c>/dev/sgx/enclave</c>, the 2019 series; today a link that udev makes.</summary>
    EnclaveV22,

    /// <summary><c>/dev/sgx_provision</c>.</summary>
    Provision,

    /// <summary><c>/dev/sgx/provision</c>.</summary>
    ProvisionV22,

    /// <summary>One of them with a slash behind, as if it were a directory: ENOTDIR.</summary>
    NotDirectory,
}
