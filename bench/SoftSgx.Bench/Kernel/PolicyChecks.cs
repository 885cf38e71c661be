using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using SoftSgx.Architecture;
using SoftSgx.Bench.Host;
using SoftSgx.Bench.Processor;
using SoftSgx.Host.Supervision;
using SoftSgx.Kernel;
using SoftSgx.Kernel.Tracing;
using SoftSgx.Processor;
using SoftSgx.Simulation;

namespace SoftSgx.Bench.Kernel;

/// <summary>What a policy adds to building an enclave: CREATE, ADD_PAGES page by page, a mapping, INIT.</summary>
internal static class PolicyChecks
{
    private const int Rules = 1000;
    private const double Required = 1.02;
    private const int Turns = 301;
    private const int LiveTurns = 9;

    public static void Run()
    {
        TraceActor.Tid = Environment.ProcessId; // whom the rules ask about
        Kernel();
        Live();
    }

    /// <summary>The kernel layer alone, without what a supervised program adds.</summary>
    private static void Kernel()
    {
        EnclaveBuilder plain = new(null);
        EnclaveBuilder checkedBuild = new(Policy(plain.Signer, "/opt/**"));
        (Sample without, Sample with, _) = Timing.MeasureByTurns(EnclaveBuilder.Pages, plain.Build, checkedBuild.Build, Release);
        double[] ratios = Timing.CompareByTurns(plain.Build, checkedBuild.Build, Release, Turns);
        Console.WriteLine($"  kernel without a policy    {without} a page");
        Console.WriteLine($"  kernel with {Rules:N0} rules    {with} a page");
        Console.WriteLine(
            $"  kernel                        ratio {ratios[Turns / 2]:N3}, in half of {Turns} turns {ratios[Turns / 4]:N3} to {ratios[Turns * 3 / 4]:N3} ({Required:N2} allowed)");

        void Release()
        {
            plain.Release();
            checkedBuild.Release();
        }
    }

    /// <summary>A program under softsgx that builds enclaves from a private mapping of a file.</summary>
    private static void Live()
    {
        NativePrograms.Build();
        DirectoryInfo folder = Directory.CreateTempSubdirectory("softsgx-bench-");
        string code = Path.Combine(folder.FullName, "code"), policy = Path.Combine(folder.FullName, "policy.json");
        File.WriteAllBytes(code, new byte[EnclaveBuilder.Pages * 4096]);
        File.WriteAllText(policy, PolicyText(default, $"{folder.FullName}/*"));
        string program = NativePrograms.PathOf("building");
        double[] range = [double.MaxValue, double.MaxValue], single = [double.MaxValue, double.MaxValue];
        for (int i = 0; i < 2 * LiveTurns; i++)
        {
            string[] options = i % 2 == 0 ? [] : ["--policy", policy];
            var figures = NativePrograms.Figures(NativePrograms.Run(NativePrograms.SoftSgx, ["run", .. options, program, code]));
            range[i % 2] = Math.Min(range[i % 2], figures["range"]);
            single[i % 2] = Math.Min(single[i % 2], figures["single"]);
        }

        folder.Delete(recursive: true);
        Print("all pages in one ioctl", range);
        Print("one page an ioctl", single);

        // The least of all runs: what a busy machine adds to some is more than what is looked for.
        static void Print(string how, double[] microseconds) => Console.WriteLine(
            $"  live, {how,-23} ratio {microseconds[1] / microseconds[0]:N3}, at best {microseconds[0]:N2} and {microseconds[1]:N2} us a page");
    }

    private static SecurityPolicy Policy(Hash256 signer, string files)
        => PolicyReader.Read(Encoding.UTF8.GetBytes(PolicyText(signer, files)), out IReadOnlyList<PolicyError> errors)
            ?? throw new InvalidOperationException(errors[0].ToString());

    /// <summary>999 rules of others and one that allows the enclave, in their midst; page rules that look at every page's source.</summary>
    private static string PolicyText(Hash256 signer, string files)
    {
        StringBuilder text = new(
            $$"""
            {
              "version": 1, "default": "deny",
              "pages": { "deny": ["execunmr", "execanon", "execdirty", "mapwx", "wxever"], "enclave_execute": ["/a/**", "{{files}}"] },
              "rules": [
            """);
        for (int i = 0; i < Rules; i++)
        {
            string hash = i == Rules / 2 ? signer.ToString() : Convert.ToHexStringLower(SHA256.HashData(BitConverter.GetBytes(i)));
            string by = i % 2 == 0 || i == Rules / 2 ? "mrsigner" : "mrenclave";
            string who = i == Rules / 2 ? "/**" : $"/opt/application{i}/*";
            text.Append(
                $$"""
                {
                  "name": "rule {{i}}", "action": "allow", "{{by}}": "{{hash}}", "isvsvn": "0-", "uid": "0-", "exe": "{{who}}",
                  "attributes": { "DEBUG": false }
                },
                """);
        }
        return text.Append("]}").ToString();
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
                CurrentTask = static () => HostTask.Current,
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
}
