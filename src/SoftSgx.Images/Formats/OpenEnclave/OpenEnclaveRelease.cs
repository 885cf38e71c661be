namespace SoftSgx.Images;

/// <summary>
/// How a span of releases of Open Enclave loads an image; what a release changed is in host/sgx/create.c, loadelf.c and elf.c at its tag.
/// The image does not carry its release, but what a release brought shows in it.
/// </summary>
/// <param name="Name">The releases.</param>
/// <param name="HasDynamicSymbols">The loader's variables are found among the dynamic symbols, not among all.</param>
/// <param name="HasThreadLocalPages">There are as many pages of thread-local data as the image needs, not two pages for all of it.</param>
/// <param name="HasPltRelocations">The relocations of .rela.plt count, too.</param>
/// <param name="ClearsElfHeader">The loader clears what the ELF header says of sections.</param>
/// <param name="TellsEnd">The enclave is told the end of its pages as its size, not its size.</param>
/// <param name="GsBeforeFs">GS is a page of its own before that of FS.</param>
internal sealed record OpenEnclaveRelease(
    string Name,
    bool HasDynamicSymbols,
    bool HasThreadLocalPages,
    bool HasPltRelocations,
    bool ClearsElfHeader,
    bool TellsEnd,
    bool GsBeforeFs)
{
    private static readonly OpenEnclaveRelease s_from016 = new("Open Enclave 0.16 and later", true, true, true, false, false, false);
    private static readonly OpenEnclaveRelease s_from012 = new("Open Enclave 0.12 to 0.15", true, true, false, true, false, false);
    private static readonly OpenEnclaveRelease s_011 = new("Open Enclave 0.11", true, false, false, true, false, false);
    private static readonly OpenEnclaveRelease s_from08 = new("Open Enclave 0.8 to 0.10", false, false, false, true, true, false);
    private static readonly OpenEnclaveRelease s_from06 = new("Open Enclave 0.6 and 0.7", false, false, false, true, true, true);

    /// <summary>The releases that may have made an image, the likeliest first.</summary>
    internal static IReadOnlyList<OpenEnclaveRelease> Of(ElfFile elf, OpenEnclaveProperties properties)
    {
        if (elf.Symbol("_module_info"u8, ElfSection.TypeDynamicSymbols) is not null || properties.HasStartAddress)
        {
            return [s_from016];
        }

        if (properties.HasKss)
        {
            return [s_from012, s_from016];
        }

        return elf.Symbol("_td_from_tcs_offset"u8, ElfSection.TypeDynamicSymbols) is not null ? [s_from012, s_011] : [s_from08, s_from06];
    }
}
