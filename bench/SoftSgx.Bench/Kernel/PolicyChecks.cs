using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using SoftSgx.Architecture;
using SoftSgx.Bench.Processor;
using SoftSgx.Kernel;
using SoftSgx.Processor;
using SoftSgx.Simulation;

namespace SoftSgx.Bench.Kernel;

/// <summary>What a policy adds to building an enclave: CREATE, ADD_PAGES page by page, a mapping, INIT.</summary>
internal static class PolicyChecks
{
    private const int Rules = 1000;
    private const double Required = 1.02;

    public static void Run()
    {
        EnclaveBuilder plain = new(null);
        EnclaveBuilder checkedBuild = new(Policy(plain.Signer));
        (Sample without, Sample with, double ratio) = Timing.MeasureByTurns(EnclaveBuilder.Pages, plain.Build, checkedBuild.Build, () =>
        {
            plain.Release();
            checkedBuild.Release();
        });
        Console.WriteLine($"  without a policy         {without} a page");
        Console.WriteLine($"  with {Rules:N0} rules         {with} a page");
        Console.WriteLine($"  ratio {1 / ratio:N3} ({Required:N2} allowed)");
    }

    /// <summary>999 rules of others and one that allows the enclave, in their midst; page rules that look at every page's source.</summary>
    private static SecurityPolicy Policy(Hash256 signer)
    {
        StringBuilder text = new(
            """
            {
              "version": 1, "default": "deny",
              "pages": { "deny": ["execunmr", "execanon", "execdirty", "mapwx", "wxever"], "enclave_execute": ["/a/**", "/opt/**"] },
              "rules": [
            """);
        for (int i = 0; i < Rules; i++)
        {
            string hash = i == Rules / 2 ? signer.ToString() : Convert.ToHexStringLower(SHA256.HashData(BitConverter.GetBytes(i)));
            string by = i % 2 == 0 || i == Rules / 2 ? "mrsigner" : "mrenclave";
            text.Append(
                $$"""
                {
                  "name": "rule {{i}}", "action": "allow", "{{by}}": "{{hash}}", "isvsvn": "0-", "uid": "0-", "exe": "/**",
                  "attributes": { "DEBUG": false }
                },
                """);
        }
        text.Append("]}");
        return PolicyReader.Read(Encoding.UTF8.GetBytes(text.ToString()), out IReadOnlyList<PolicyError> errors)
            ?? throw new InvalidOperationException(errors[0].ToString());
    }

    /// <summary>A kernel, and a program that builds the same enclave again and again.</summary>
    private sealed class EnclaveBuilder : IUserMemory, IFileTable, IAuditLog
    {
        public const int Pages = 1024;

        private const ulong Size = Pages * 4096;
        private const ulong Base = 0x7000_0000_0000;
        private const ulong Argument = 0x1000, Structure = 0x2000, SourceBase = 0x10_0000;

        private static readonly BenchSigner s_signer = new();
        private static readonly SgxAttributes s_attributes = new(AttributeFlags.MODE64BIT, 3);
        private static readonly SecInfo s_code = SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.X);

        private readonly byte[] _memory = new byte[8192];
        private readonly byte[] _source = new byte[4096];
        private readonly SimulatedEpc _epc = new(Pages + 64, withContents: true);
        private readonly SgxSubsystem _kernel;
        private readonly LogicalProcessor _logical = new();
        private readonly SigStruct _sigStruct;
        private Enclave? _enclave;

        public EnclaveBuilder(SecurityPolicy? policy)
        {
            SgxProcessor processor = new(new ProcessorConfiguration(), PlatformSecrets.CreateRandom(), Pages + 64, _epc);
            _kernel = new SgxSubsystem(processor, _epc, new SubsystemOptions
            {
                Security = policy is null ? null : new PolicyModule(policy, this),
                CurrentTask = static () => new Task(),
            });
            new Random(1).NextBytes(_source);
            SigStruct sig = new()
            {
                AttributeMask = new SgxAttributes((AttributeFlags)~2UL, ~0UL),
                Attributes = s_attributes,
                EnclaveHash = Measure(),
            };
            s_signer.Sign(ref sig);
            _sigStruct = sig;
        }

        public Hash256 Signer => EnclaveSignature.MrSigner(in _sigStruct);

        public void Build()
        {
            _enclave = _kernel.Device.Open(new SimulatedInode(_epc), DeviceAbi.Mainline);
            Put(Structure, new Secs { EnclaveSize = Size, BaseAddress = Base, SsaFrameSize = 1, Attributes = s_attributes });
            Ioctl(IoctlTable.SGX_IOC_ENCLAVE_CREATE, new SgxEnclaveCreate { Src = Structure });
            Put(Structure, in s_code);
            for (ulong page = 0; page < Pages; page++)
            {
                Ioctl(IoctlTable.SGX_IOC_ENCLAVE_ADD_PAGES, new SgxEnclaveAddPages
                {
                    Src = SourceBase + (page * 4096),
                    Offset = page * 4096,
                    Length = 4096,
                    SecInfo = Structure,
                    Flags = SgxEnclaveAddPages.SGX_PAGE_MEASURE,
                });
            }
            Expect(_enclave.MayMap(Base, Base + Size, PageProtection.Read | PageProtection.Execute));
            Expect(_enclave.AskToMap(Base, Base + Size, PageProtection.Read | PageProtection.Execute));
            Put(Structure, in _sigStruct);
            Ioctl(IoctlTable.SGX_IOC_ENCLAVE_INIT, new SgxEnclaveInit { SigStruct = Structure });
        }

        public void Release() => _enclave!.Release();

        public bool TryRead(ulong address, Span<byte> destination)
        {
            bool isSource = address >= SourceBase;
            ReadOnlySpan<byte> from = isSource ? _source.AsSpan((int)(address % 4096)) : _memory.AsSpan((int)(address - Argument));
            from[..destination.Length].CopyTo(destination);
            return true;
        }

        public bool TryWrite(ulong address, ReadOnlySpan<byte> source)
        {
            source.CopyTo(_memory.AsSpan((int)(address - Argument)));
            return true;
        }

        public SourceMapping FindMapping(ulong address) =>
            new(SourceBase, SourceBase + Size, MayExecute: true) { Path = "/opt/bench/enclave.so" };

        public bool IsProvisionDevice(int fd) => false;

        public void Write(string line) => throw new InvalidOperationException(line);

        private void Ioctl<T>(uint command, in T argument)
            where T : unmanaged
        {
            Put(Argument, in argument);
            Expect(_enclave!.Ioctl(command, Argument, this, this, _logical));
        }

        private void Put<T>(ulong address, in T value)
            where T : unmanaged => TryWrite(address, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));

        private static void Expect(Errno errno)
        {
            if (errno != Errno.None)
            {
                throw new InvalidOperationException($"{errno}");
            }
        }

        /// <summary>MRENCLAVE of what <see cref="Build"/> builds.</summary>
        private Hash256 Measure()
        {
            using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            byte[] record = new byte[64];
            "ECREATE"u8.CopyTo(record);
            BitConverter.TryWriteBytes(record.AsSpan(8), 1u);
            BitConverter.TryWriteBytes(record.AsSpan(12), Size);
            hash.AppendData(record);
            for (ulong page = 0; page < Pages; page++)
            {
                Array.Clear(record);
                "EADD"u8.CopyTo(record);
                BitConverter.TryWriteBytes(record.AsSpan(8), page * 4096);
                BitConverter.TryWriteBytes(record.AsSpan(16), (ulong)s_code.Flags);
                hash.AppendData(record);
                for (ulong at = 0; at < 4096; at += 256)
                {
                    Array.Clear(record);
                    "EEXTEND"u8.CopyTo(record);
                    BitConverter.TryWriteBytes(record.AsSpan(8), (page * 4096) + at);
                    hash.AppendData(record);
                    hash.AppendData(_source, (int)at, 256);
                }
            }
            return Hash256.From(hash.GetHashAndReset());
        }
    }

    /// <summary>Looks at /proc for every answer, as a live caller's does.</summary>
    private sealed class Task : ICallingTask
    {
        public int Tid => 1;

        public uint User
        {
            get
            {
                Span<byte> status = stackalloc byte[1024];
                using Microsoft.Win32.SafeHandles.SafeFileHandle file = File.OpenHandle("/proc/self/status");
                status = status[..RandomAccess.Read(file, status, 0)];
                status = status[(status.IndexOf("Uid:\t"u8) + 5)..];
                status = status[(status.IndexOf((byte)'\t') + 1)..];
                return System.Buffers.Text.Utf8Parser.TryParse(status, out uint user, out _) ? user : uint.MaxValue;
            }
        }

        public string? Executable => File.ResolveLinkTarget("/proc/self/exe", returnFinalTarget: false)?.FullName;

        public string Command => "bench";
    }
}
