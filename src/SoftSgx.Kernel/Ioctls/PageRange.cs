namespace SoftSgx.Kernel;

/// <summary>The rule for offset and length of a range of pages (sgx_validate_offset_length in arch/x86/kernel/cpu/sgx/ioctl.c).</summary>
internal static class PageRange
{
    /// <summary>True if the range is aligned, not empty, and within the enclave.</summary>
    public static bool IsValid(Enclave enclave, ulong offset, ulong length)
    {
        if (offset % EpcPool.PageSize != 0)
        {
            return false;
        }

        if (length == 0 || length % EpcPool.PageSize != 0)
        {
            return false;
        }

        ulong end = unchecked(offset + length);
        return end >= offset && end - EpcPool.PageSize < enclave.Size;
    }
}
