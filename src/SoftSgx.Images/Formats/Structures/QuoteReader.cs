using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>
/// Reads quotes: what their fields say, not whether they are true.
/// Versions 1 and 2: Intel SGX SDK, common/inc/sgx_quote.h. Versions 3 to 5: Intel SGX DCAP, sgx_quote_3.h, sgx_quote_4.h, sgx_quote_5.h.
/// </summary>
/// <remarks>
/// <code>
///   0 version      2 attestation key type (EPID: signature type)
///  48 report body (384)    432 length of the signature data    436 signature data
/// </code>
/// Version 4 says at offset 4 whether the body is of an enclave (0) or of a trust domain (0x81, 584 bytes); version 5 has the body's type
/// at 48, its size at 50, and the body from 54 on.
/// </remarks>
internal static class QuoteReader
{
    private const ulong HeaderSize = 48;
    private const ulong BodySize = ReportBody.Size;
    private const ulong TrustDomainBodySize = 584;
    private const uint TeeSgx = 0;
    private const uint TeeTrustDomain = 0x81;
    private const ushort KeyEcdsaP256 = 2;
    private const ushort KeyEcdsaP384 = 3;
    private const ushort LargestVersion = 5;

    private const ushort CertificatePckChain = 5;
    private const ushort CertificateQeReport = 6;

    // Of a trust domain: what follows the header.
    private static readonly (string Name, ulong Offset, ulong Length)[] s_trustDomain =
    [
        ("TEE_TCB_SVN", 0, 16), ("MRSEAM", 16, 48), ("MRSIGNERSEAM", 64, 48), ("SEAMATTRIBUTES", 112, 8), ("TDATTRIBUTES", 120, 8),
        ("XFAM", 128, 8), ("MRTD", 136, 48), ("MRCONFIGID", 184, 48), ("MROWNER", 232, 48), ("MROWNERCONFIG", 280, 48), ("RTMR0", 328, 48),
        ("RTMR1", 376, 48), ("RTMR2", 424, 48), ("RTMR3", 472, 48), ("REPORTDATA", 520, 64),
    ];

    /// <summary>True if the header is one that a quote can have, and the lengths fit the file.</summary>
    internal static bool IsPlausible(ImageBytes bytes)
    {
        if (!bytes.Has(0, HeaderSize + BodySize))
        {
            return false;
        }

        ushort version = bytes.U16(0, "");
        if (version is 1 or 2)
        {
            return bytes.U16(2, "") <= 1
                && StructureReader.IsPlausible(MemoryMarshal.Read<ReportBody>(bytes.Span(HeaderSize, BodySize, "")));
        }

        return version is >= 3 and <= LargestVersion && bytes.U16(2, "") is KeyEcdsaP256 or KeyEcdsaP384;
    }

    internal static EnclaveImage Read(ImageBytes bytes)
    {
        ushort version = bytes.U16(0, "the quote's version");
        return version switch
        {
            1 or 2 => Epid(bytes, version),
            >= 3 and <= LargestVersion => Ecdsa(bytes, version),
            _ => throw new ImageException(0, $"the quote's version {version} is not from 1 to {LargestVersion}"),
        };
    }

    private static EnclaveImage Epid(ImageBytes bytes, ushort version)
    {
        FactList header = new FactList("quote header", 0)
            .Count("version", version)
            .Text(
                "sign_type",
                bytes.U16(2, "sign_type") switch { 0 => "0, unlinkable", 1 => "1, linkable", ushort other => FactList.Hex(other) })
            .Hex("epid_group_id", bytes.U32(4, "epid_group_id"))
            .Count("qe_svn", bytes.U16(8, "qe_svn"))
            .Count("pce_svn", bytes.U16(10, "pce_svn"))
            .Hex("xeid", bytes.U32(12, "xeid"))
            .Bytes("basename", bytes.Span(16, 32, "basename"));
        ReportBody body = MemoryMarshal.Read<ReportBody>(bytes.Span(HeaderSize, BodySize, "the report body"));
        List<string> notes = [];
        const ulong LengthAt = HeaderSize + BodySize;

        // The quote that a verifier gets back from Intel's service lacks the signature and its length.
        if (bytes.Length == LengthAt)
        {
            notes.Add("It has no signature: so the attestation service gives it back.");
        }
        else
        {
            uint length = bytes.U32(LengthAt, "signature_len");
            bytes.Memory(LengthAt + 4, length, "the EPID signature");
            header.Count("signature_len", length);
            AddRest(bytes, LengthAt + 4 + length, notes);
        }

        notes.Add("EPID signatures are encrypted for Intel's attestation service, which has ended; they cannot be checked here.");
        return new EnclaveImage
        {
            Format = string.Create(CultureInfo.InvariantCulture, $"quote, version {version} (EPID)"),
            Kind = ImageKind.Quote,
            Facts = [header.Build(), StructureFacts.ReportBody(in body, "report body", (long)HeaderSize)],
            Notes = notes,
        };
    }

    private static EnclaveImage Ecdsa(ImageBytes bytes, ushort version)
    {
        ushort keyType = bytes.U16(2, "att_key_type");
        uint tee = version == 3 ? TeeSgx : bytes.U32(4, "tee_type");
        FactList header = new FactList("quote header", 0)
            .Count("version", version)
            .Text(
                "att_key_type",
                keyType switch { KeyEcdsaP256 => "2, ECDSA P-256", KeyEcdsaP384 => "3, ECDSA P-384", _ => FactList.Hex(keyType) });
        if (version == 3)
        {
            header.Hex("att_key_data_0", bytes.U32(4, "att_key_data_0"))
                .Count("qe_svn", bytes.U16(8, "qe_svn"))
                .Count("pce_svn", bytes.U16(10, "pce_svn"));
        }
        else
        {
            header.Text("tee_type", tee switch { TeeSgx => "0, SGX", TeeTrustDomain => "0x81, TDX", _ => FactList.Hex(tee) });
        }

        header.Bytes("vendor_id", bytes.Span(12, 16, "vendor_id")).Bytes("user_data", bytes.Span(28, 20, "user_data"));
        (ulong body, ulong bodySize) = (HeaderSize, tee == TeeSgx ? BodySize : TrustDomainBodySize);
        if (version == LargestVersion)
        {
            header.Count("body type", bytes.U16(HeaderSize, "the body's type"));
            (body, bodySize) = (HeaderSize + 6, bytes.U32(HeaderSize + 2, "the body's size"));
        }

        bytes.Memory(body, bodySize, "the report body");
        List<FactGroup> facts = [];
        List<string> notes = [];
        ulong lengthAt = body + bodySize;
        uint length = bytes.U32(lengthAt, "the length of the signature data");
        header.Count("signature_data_len", length);
        facts.Add(header.Build());
        facts.Add(tee == TeeSgx ? EnclaveBody(bytes, body, bodySize, "report body") : TrustDomain(bytes, body, bodySize));
        ulong data = lengthAt + 4;
        bytes.Memory(data, length, "the signature data");
        if (keyType == KeyEcdsaP256)
        {
            ReadSignature(bytes, data, data + length, version, facts, notes);
        }
        else
        {
            notes.Add("Its signature data is of a kind that is not read here.");
        }

        AddRest(bytes, data + length, notes);
        notes.Add("Its fields are shown as they are; whether its signatures are right is not checked here.");
        return new EnclaveImage
        {
            Format = string.Create(
                CultureInfo.InvariantCulture, $"quote, version {version} ({(tee == TeeSgx ? "ECDSA" : "ECDSA, of a trust domain")})"),
            Kind = ImageKind.Quote,
            Facts = facts,
            Notes = notes,
        };
    }

    private static FactGroup EnclaveBody(ImageBytes bytes, ulong offset, ulong size, string title)
    {
        if (size != BodySize)
        {
            throw new ImageException((long)offset, $"the report body of an enclave has {BodySize} bytes, not {size}");
        }

        ReportBody body = MemoryMarshal.Read<ReportBody>(bytes.Span(offset, BodySize, title));
        return StructureFacts.ReportBody(in body, title, (long)offset);
    }

    private static FactGroup TrustDomain(ImageBytes bytes, ulong offset, ulong size)
    {
        if (size < TrustDomainBodySize)
        {
            throw new ImageException(
                (long)offset, $"the report body of a trust domain has at least {TrustDomainBodySize} bytes, not {size}");
        }

        FactList facts = new("report body", (long)offset);
        foreach ((string name, ulong at, ulong length) in s_trustDomain)
        {
            facts.Bytes(name, bytes.Span(offset + at, length, name));
        }

        return facts.Build();
    }

    private static void ReadSignature(ImageBytes bytes, ulong at, ulong end, ushort version, List<FactGroup> facts, List<string> notes)
    {
        FactList signature = new FactList("signature data", (long)at)
            .Bytes("signature", Part(bytes, at, 64, end, "the signature").Span)
            .Bytes("attestation key", Part(bytes, at + 64, 64, end, "the attestation key").Span);
        facts.Add(signature.Build());
        at += 128;
        if (version == 3)
        {
            QeReport(bytes, at, end, facts, notes);
        }
        else
        {
            Certification(bytes, at, end, facts, notes, isInner: false);
        }
    }

    private static void QeReport(ImageBytes bytes, ulong at, ulong end, List<FactGroup> facts, List<string> notes)
    {
        Part(bytes, at, BodySize, end, "the report of the quoting enclave");
        facts.Add(EnclaveBody(bytes, at, BodySize, "report of the quoting enclave"));
        at += BodySize;
        FactList more = new FactList("quoting enclave", (long)at)
            .Bytes("signature of its report", Part(bytes, at, 64, end, "the signature of the quoting enclave's report").Span);
        at += 64;
        ushort authentication = BinaryPrimitives.ReadUInt16LittleEndian(
            Part(bytes, at, 2, end, "the length of the authentication data").Span);
        more.Bytes("authentication data", Part(bytes, at + 2, authentication, end, "the authentication data").Span);
        facts.Add(more.Build());
        Certification(bytes, at + 2 + authentication, end, facts, notes, isInner: true);
    }

    private static void Certification(ImageBytes bytes, ulong at, ulong end, List<FactGroup> facts, List<string> notes, bool isInner)
    {
        ushort type = BinaryPrimitives.ReadUInt16LittleEndian(Part(bytes, at, 2, end, "the type of the certification data").Span);
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(Part(bytes, at + 2, 4, end, "the length of the certification data").Span);
        ReadOnlyMemory<byte> data = Part(bytes, at + 6, length, end, "the certification data");
        FactList group = new FactList("certification data", (long)at)
            .Text("type", type switch
            {
                1 => "1, PPID in the clear",
                2 => "2, PPID encrypted by RSA-2048",
                3 => "3, PPID encrypted by RSA-3072",
                4 => "4, PCK certificate",
                CertificatePckChain => "5, PCK certificate chain",
                CertificateQeReport => "6, report of the quoting enclave",
                7 => "7, platform manifest",
                _ => FactList.Hex(type),
            })
            .Count("size", length);
        if (type == CertificatePckChain)
        {
            Chain(data.Span, group, notes);
        }
        else if (type is >= 1 and <= 3)
        {
            Ppid(bytes, at + 6, at + 6 + length, type, group);
        }

        facts.Add(group.Build());
        if (type == CertificateQeReport && !isInner)
        {
            QeReport(bytes, at + 6, at + 6 + length, facts, notes);
        }

        if (at + 6 + length < end)
        {
            notes.Add($"Behind the certification data stand {end - (at + 6 + length)} bytes more of the signature data.");
        }
    }

    // PPID, CPUSVN, ISVSVN and identifier of the provisioning certification enclave.
    private static void Ppid(ImageBytes bytes, ulong at, ulong end, ushort type, FactList group)
    {
        ulong length = type switch { 1 => 16u, 2 => 256u, _ => 384u };
        group.Bytes("PPID", Part(bytes, at, length, end, "the PPID").Span)
            .Bytes("CPUSVN", Part(bytes, at + length, 16, end, "CPUSVN").Span)
            .Count("PCE ISVSVN", BinaryPrimitives.ReadUInt16LittleEndian(Part(bytes, at + length + 16, 2, end, "the PCE's ISVSVN").Span))
            .Count("PCEID", BinaryPrimitives.ReadUInt16LittleEndian(Part(bytes, at + length + 18, 2, end, "PCEID").Span));
    }

    private static void Chain(ReadOnlySpan<byte> data, FactList group, List<string> notes)
    {
        // Three are usual: the leaf, the platform or processor authority, the root.
        const int Most = 16;
        const int Longest = 1 << 16;
        if (data.Length > Longest)
        {
            notes.Add($"The certificate chain of {data.Length} bytes is too long to be read.");
            return;
        }

        int number = 0;
        ReadOnlySpan<char> text = Encoding.ASCII.GetString(data);
        while (number < Most && PemEncoding.TryFind(text, out PemFields pem))
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"certificate {number++}");
            try
            {
                byte[] encoded = Convert.FromBase64String(text[pem.Base64Data].ToString());
                using X509Certificate2 certificate = X509CertificateLoader.LoadCertificate(encoded);
                group.Text(name, string.Create(
                    CultureInfo.InvariantCulture,
                    $"{certificate.Subject}; issued by {certificate.Issuer}; valid from "
                        + $"{certificate.NotBefore.ToUniversalTime():yyyy-MM-dd} to {certificate.NotAfter.ToUniversalTime():yyyy-MM-dd}; "
                        + $"serial {certificate.SerialNumber}"));
            }
            catch (Exception e) when (e is CryptographicException or FormatException or ArgumentException)
            {
                group.Text(name, "cannot be read");
            }

            text = text[pem.Location.End..];
        }

        group.Count("certificates", (ulong)number);
    }

    private static ReadOnlyMemory<byte> Part(ImageBytes bytes, ulong at, ulong length, ulong end, string what) =>
        at <= end && length <= end - at
            ? bytes.Memory(at, length, what)
            : throw new ImageException(
                (long)at, $"{what} ({length} bytes) reaches beyond its container, which ends at {FactList.Hex(end)}");

    private static void AddRest(ImageBytes bytes, ulong end, List<string> notes)
    {
        if (end < bytes.Length)
        {
            ReadOnlySpan<byte> rest = bytes.Span(end, bytes.Length - end, "the rest");
            notes.Add($"Behind the quote stand {rest.Length} bytes more{(Bytes.IsZero(rest) ? ", all zero" : "")}.");
        }
    }
}
