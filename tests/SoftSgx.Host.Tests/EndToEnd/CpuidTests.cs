namespace SoftSgx.Host.Tests.EndToEnd;

/// <summary>CPUID, as the program and what it loads see it.</summary>
[Collection(nameof(EndToEnd))]
public sealed class CpuidTests
{
    private static string Expected(string where, string vendor, ulong epc) =>
        $"{where}: vendor {vendor}, leaf 0x12 1, SGX 1, SGX_LC 1, SGX1 1, DEBUG 1 MODE64BIT 1, EPC {epc}, sections 1\n";

    private static string Vendor => Machine.Run([Machine.Build("cpuid")]).Text.Split(' ')[2].TrimEnd(',');

    [EndToEndTheory]
    [InlineData("64K", 65536)]
    [InlineData("96M", 96UL << 20)]
    [InlineData("8G", 8UL << 30)]
    public void The_size_of_the_EPC_is_the_one_that_was_asked_for(string option, ulong bytes) =>
        Machine.Run([Machine.Softsgx, "run", "--epc", option, Machine.Build("cpuid")]).Said(Expected("program", Vendor, bytes));

    [EndToEndFact]
    public void The_vendor_is_the_processors_unless_asked_otherwise()
    {
        Machine.Supervised(Machine.Build("cpuid")).Said(Expected("program", Vendor, 128UL << 20));
        Machine.Run([Machine.Softsgx, "run", "--genuine-intel", Machine.Build("cpuid")]).Said(Expected("program", "GenuineIntel", 128UL << 20));
    }

    [EndToEndFact]
    public void A_library_loaded_later_sees_the_same()
    {
        string library = Machine.Build("cpuid", "-shared", "-fPIC", "-DLIBRARY");
        Machine.Supervised(Machine.Build("cpuid"), library)
            .Said(Expected("program", Vendor, 128UL << 20) + Expected("library", Vendor, 128UL << 20));
    }

    [EndToEndTheory]
    [InlineData("-static-pie")]
    [InlineData("-no-pie")]
    [InlineData("-O2")]
    public void Every_kind_of_program_sees_it(string flag) =>
        Machine.Supervised(Machine.Build("cpuid", flag)).Said(Expected("program", Vendor, 128UL << 20));

    [EndToEndFact]
    public void Large_programs_with_such_bytes_in_their_data_work_as_before() =>
        Machine.SameAsPlain("$RUN bash -c 'x=$((2**40)); echo \"${x//1/2}\" \"${BASH_VERSION}\"; printf \"%s\\n\" {1..200} | sort -n | md5sum; set | grep -c .'"
            + "; for tool in gcc perl python3 openssl; do command -v $tool >/dev/null && $RUN $tool --version 2>&1; done; $RUN gcc -dumpmachine; true");
}
