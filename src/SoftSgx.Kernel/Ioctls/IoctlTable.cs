using System.Collections.Immutable;
using SoftSgx.Kernel.Tracing;

namespace SoftSgx.Kernel;

/// <summary>How far an ioctl is implemented.</summary>
public enum IoctlSupport
{
    /// <summary>Implemented, every error included.</summary>
    Complete,

    /// <summary>Implemented, every error included; an SGX2 function: on a processor without SGX2 it answers ENODEV.</summary>
    NeedsSgx2,
}

/// <summary>One ioctl of the enclave device.</summary>
/// <param name="Command">The command number, which encodes direction, struct size, magic and number.</param>
/// <param name="Name">Its native name.</param>
/// <param name="StructSize">Size in bytes of the struct that the argument points to.</param>
/// <param name="Only">The interface that alone has it, or <see langword="null"/> for both.</param>
/// <param name="Support">How far it is implemented.</param>
public sealed record IoctlEntry(uint Command, string Name, int StructSize, DeviceAbi? Only, IoctlSupport Support)
{
    /// <summary>What executes it.</summary>
    internal IoctlHandler Handler { get; init; } = static (_, _, _) => Errno.ENOTTY;

    /// <summary>Says what the argument asks for.</summary>
    internal IoctlDescription Request { get; init; } = IoctlDescriptions.None;

    /// <summary>Says what the call wrote into the argument.</summary>
    internal IoctlDescription Answer { get; init; } = IoctlDescriptions.None;

    /// <summary>Adds to an event what the argument asks for. Before the call.</summary>
    /// <param name="e">The event.</param>
    /// <param name="argument">The argument: an address, any value.</param>
    /// <param name="memory">The caller's memory.</param>
    public void DescribeRequest(TraceEvent e, ulong argument, IUserMemory memory) => Request(e, argument, memory);

    /// <summary>Adds to an event what the call wrote into the argument. After the call, if it did not fail early.</summary>
    /// <param name="e">The event.</param>
    /// <param name="argument">The argument: an address, any value.</param>
    /// <param name="memory">The caller's memory.</param>
    public void DescribeAnswer(TraceEvent e, ulong argument, IUserMemory memory) => Answer(e, argument, memory);
}

/// <summary>Executes one ioctl on an enclave that no other ioctl is working on.</summary>
internal delegate Errno IoctlHandler(Enclave enclave, ulong argument, IoctlCall call);

/// <summary>Who makes an ioctl and where.</summary>
/// <param name="Memory">The caller's memory.</param>
/// <param name="Files">The caller's open files.</param>
/// <param name="LogicalProcessor">The logical processor that the call runs on.</param>
internal readonly record struct IoctlCall(
    IUserMemory Memory,
    IFileTable Files,
    Processor.LogicalProcessor LogicalProcessor);

/// <summary>
/// The ioctls of the enclave device: the one table that dispatch, traces and documentation read.
/// Numbers are defined in arch/x86/include/uapi/asm/sgx.h, magic 0xA4.
/// </summary>
public static class IoctlTable
{
    /// <summary>Command numbers by their native names.</summary>
    public const uint
        SGX_IOC_ENCLAVE_CREATE = 0x4008A400,
        SGX_IOC_ENCLAVE_ADD_PAGES = 0xC030A401,
        SGX_IOC_ENCLAVE_ADD_PAGE = 0x4020A401,
        SGX_IOC_ENCLAVE_INIT = 0x4008A402,
        SGX_IOC_ENCLAVE_PROVISION = 0x4008A403,
        SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS = 0xC028A405,
        SGX_IOC_ENCLAVE_MODIFY_TYPES = 0xC028A406,
        SGX_IOC_ENCLAVE_REMOVE_PAGES = 0xC018A407;

    /// <summary>All entries, by their numbers. SET_ATTRIBUTE of v22 is PROVISION: same number, same struct.</summary>
    public static ImmutableArray<IoctlEntry> Entries { get; } =
    [
        new(SGX_IOC_ENCLAVE_CREATE, nameof(SGX_IOC_ENCLAVE_CREATE), SgxEnclaveCreate.Size,
            null, IoctlSupport.Complete)
        {
            Handler = Create.Execute, Request = IoctlDescriptions.Create,
        },
        new(SGX_IOC_ENCLAVE_ADD_PAGES, nameof(SGX_IOC_ENCLAVE_ADD_PAGES), SgxEnclaveAddPages.Size,
            null, IoctlSupport.Complete)
        {
            Handler = AddPages.Execute, Request = IoctlDescriptions.AddPages, Answer = IoctlDescriptions.AddPagesResult,
        },
        new(SGX_IOC_ENCLAVE_ADD_PAGE, nameof(SGX_IOC_ENCLAVE_ADD_PAGE), SgxEnclaveAddPage.Size,
            DeviceAbi.V22, IoctlSupport.Complete)
        {
            Handler = AddPage.Execute, Request = IoctlDescriptions.AddPage,
        },
        new(SGX_IOC_ENCLAVE_INIT, nameof(SGX_IOC_ENCLAVE_INIT), SgxEnclaveInit.Size,
            null, IoctlSupport.Complete)
        {
            Handler = Init.Execute, Request = IoctlDescriptions.Init,
        },
        new(SGX_IOC_ENCLAVE_PROVISION, nameof(SGX_IOC_ENCLAVE_PROVISION), SgxEnclaveProvision.Size,
            null, IoctlSupport.Complete)
        {
            Handler = Provision.Execute, Request = IoctlDescriptions.Provision,
        },
        new(SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS, nameof(SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS),
            SgxEnclaveRestrictPermissions.Size, null, IoctlSupport.NeedsSgx2)
        {
            Handler = RestrictPermissions.Execute, Request = IoctlDescriptions.RestrictPermissions, Answer = IoctlDescriptions.RestrictPermissionsResult,
        },
        new(SGX_IOC_ENCLAVE_MODIFY_TYPES, nameof(SGX_IOC_ENCLAVE_MODIFY_TYPES), SgxEnclaveModifyTypes.Size,
            null, IoctlSupport.NeedsSgx2)
        {
            Handler = ModifyTypes.Execute, Request = IoctlDescriptions.ModifyTypes, Answer = IoctlDescriptions.ModifyTypesResult,
        },
        new(SGX_IOC_ENCLAVE_REMOVE_PAGES, nameof(SGX_IOC_ENCLAVE_REMOVE_PAGES), SgxEnclaveRemovePages.Size,
            null, IoctlSupport.NeedsSgx2)
        {
            Handler = RemovePages.Execute, Request = IoctlDescriptions.RemovePages, Answer = IoctlDescriptions.RemovePagesResult,
        },
    ];

    /// <summary>Finds the entry of a command.</summary>
    /// <param name="command">Command number as the program gave it.</param>
    /// <param name="abi">The interface that the opener expects.</param>
    /// <returns>The entry, or <see langword="null"/> if the interface lacks the command (ENOTTY).</returns>
    public static IoctlEntry? Find(uint command, DeviceAbi abi)
    {
        foreach (IoctlEntry entry in Entries)
        {
            if (entry.Command == command && (entry.Only is null || entry.Only == abi))
            {
                return entry;
            }
        }

        return null;
    }
}
