using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>
/// The properties of an Open Enclave image, its section .oeinfo: what the enclave is made of, room for what the loader tells it, and its
/// signature. Open Enclave SDK, include/openenclave/bits/properties.h and bits/sgx/sgxproperties.h.
/// </summary>
/// <remarks>
/// <code>
///   0 size, enclave type    8 pages of heap    16 pages of each stack    24 threads
///  32 configuration: 24 bytes up to release 0.12, 56 up to 0.17.0, 64 since
///     then the image's addresses (48 bytes), the SIGSTRUCT, an end mark (8)
///
/// configuration     24                56 and 64
///   0 product, security version       the same
///   4 padding                         flags
///   8 attributes, 16 XFRM             family 8, extended product 24, attributes 40, XFRM 48, start address 56
/// </code>
/// </remarks>
internal sealed class OpenEnclaveProperties
{
    internal const string SectionName = ".oeinfo";

    internal const ulong ImageInfoSize = 48;

    private const ulong HeaderSize = 32;
    private const ulong FixedSize = HeaderSize + ImageInfoSize + SigStruct.Size + 8;
    private const ulong OldConfiguration = 24;
    private const ulong KssConfiguration = 56;
    private const ulong StartAddressConfiguration = 64;
    private const uint TypeSgx = 2;

    private OpenEnclaveProperties(ImageBytes bytes, ulong offset, ulong size)
    {
        const string What = "the properties (.oeinfo)";
        bytes.Memory(offset, size, What);
        ulong structSize = bytes.U32(offset, What);
        ulong configuration = structSize - Math.Min(structSize, FixedSize);
        if (structSize > size || configuration is not OldConfiguration and not KssConfiguration and not StartAddressConfiguration)
        {
            throw new ImageException(
                (long)offset,
                $"the properties' size {structSize} is none of the known ones: {FixedSize + OldConfiguration}, "
                    + $"{FixedSize + KssConfiguration}, {FixedSize + StartAddressConfiguration}");
        }

        Type = bytes.U32(offset + 4, What);
        if (Type != TypeSgx)
        {
            throw new ImageException((long)offset + 4, $"the enclave's type {Type} is not SGX ({TypeSgx})");
        }

        FileOffset = offset;
        Size = structSize;
        HeapPages = bytes.U64(offset + 8, What);
        StackPages = bytes.U64(offset + 16, What);
        Threads = bytes.U64(offset + 24, What);
        ulong at = offset + HeaderSize;
        ProductId = bytes.U16(at, What);
        SecurityVersion = bytes.U16(at + 2, What);
        HasKss = configuration != OldConfiguration;
        HasStartAddress = configuration == StartAddressConfiguration;
        Flags = HasKss ? bytes.U32(at + 4, What) : 0;
        FamilyId = HasKss ? bytes.Memory(at + 8, Bytes16.Size, What) : default;
        ExtendedProductId = HasKss ? bytes.Memory(at + 24, Bytes16.Size, What) : default;
        ulong attributes = at + (HasKss ? 40u : 8u);
        Attributes = (AttributeFlags)bytes.U64(attributes, What);
        Xfrm = bytes.U64(attributes + 8, What);
        StartAddress = HasStartAddress ? bytes.U64(attributes + 16, What) : 0;
        ImageInfo = HeaderSize + configuration;
        SignatureOffset = ImageInfo + ImageInfoSize;
        SigStruct signature = MemoryMarshal.Read<SigStruct>(bytes.Span(offset + SignatureOffset, SigStruct.Size, What));
        Signature = Bytes.Of(in signature.Header).SequenceEqual(SigStruct.HeaderConstant) ? signature : null;
    }

    internal ulong FileOffset { get; }

    internal ulong Size { get; }

    internal uint Type { get; }

    internal ulong HeapPages { get; }

    internal ulong StackPages { get; }

    internal ulong Threads { get; }

    internal ushort ProductId { get; }

    internal ushort SecurityVersion { get; }

    internal bool HasKss { get; }

    internal bool HasStartAddress { get; }

    internal uint Flags { get; }

    internal ReadOnlyMemory<byte> FamilyId { get; }

    internal ReadOnlyMemory<byte> ExtendedProductId { get; }

    internal AttributeFlags Attributes { get; }

    internal ulong Xfrm { get; }

    internal ulong StartAddress { get; }

    /// <summary>Offset into the structure of the addresses that the loader fills in.</summary>
    internal ulong ImageInfo { get; }

    /// <summary>Offset into the structure of the signature, which is zero while the enclave is measured.</summary>
    internal ulong SignatureOffset { get; }

    /// <summary>Null if the image is not signed.</summary>
    internal SigStruct? Signature { get; }

    /// <summary>The enclave's base address is 0, and its pages lie from <see cref="StartAddress"/> on.</summary>
    internal bool IsZeroBased => HasStartAddress && (Flags & 2) != 0;

    internal static OpenEnclaveProperties Read(ElfFile elf, ElfSection section) => new(elf.Bytes, section.FileOffset, section.Size);

    internal FactGroup Facts()
    {
        FactList facts = new FactList("Open Enclave properties", (long)FileOffset)
            .Count("size", Size)
            .Count("num_heap_pages", HeapPages)
            .Count("num_stack_pages", StackPages)
            .Count("num_tcs", Threads)
            .Count("product_id", ProductId)
            .Count("security_version", SecurityVersion)
            .Text("attributes", StructureFacts.AttributesText(Attributes))
            .Text("xfrm", StructureFacts.XfrmText(Xfrm));
        if (HasKss)
        {
            string flags = FactList.Hex(Flags)
                + ((Flags & 1) != 0 ? ", capture_pf_gp_exceptions" : "")
                + ((Flags & 2) != 0 ? ", create_zero_base_enclave" : "");
            facts.Text("flags", flags)
                .Bytes("family_id", FamilyId.Span)
                .Bytes("extended_product_id", ExtendedProductId.Span);
        }

        return (HasStartAddress ? facts.Hex("start_address", StartAddress) : facts).Build();
    }
}
