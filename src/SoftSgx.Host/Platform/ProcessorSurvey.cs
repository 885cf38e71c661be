using System.Numerics;
using System.Runtime.Intrinsics.X86;
using SoftSgx.Architecture;
using SoftSgx.Host.Interop;
using SoftSgx.Kernel;

namespace SoftSgx.Host.Platform;

/// <summary>
/// Looks whether this machine's processors are alike in what enclaves depend on: extended features (CPUID leaf 7), the layout of
/// XSAVE (leaf 0xD), and SGX's own leaf. A thread goes into an enclave on one of them and on with it on another.
/// </summary>
public static class ProcessorSurvey
{
    private const uint LeafVendor = 0, LeafFeatures = 7, LeafXsave = 0xD;
    private const int WordBits = 64;

    /// <summary>Processors that one look asks for; Linux has at most 8,192.</summary>
    private const int Words = 8192 / WordBits;

    /// <summary>CPUID as a processor answers it.</summary>
    internal delegate CpuidResult Ask(uint leaf, uint subLeaf);

    /// <summary>Numbers of the processors that this process may run on, ascending.</summary>
    public static IReadOnlyList<int> Allowed()
    {
        Span<ulong> mask = stackalloc ulong[Words];
        List<int> numbers = [];
        if (TryGetAffinity(mask))
        {
            for (int word = 0; word < Words; word++)
            {
                for (ulong rest = mask[word]; rest != 0; rest &= rest - 1)
                {
                    numbers.Add((word * WordBits) + BitOperations.TrailingZeroCount(rest));
                }
            }
        }
        return numbers;
    }

    /// <summary>
    /// How a processor of this machine differs from the first one. The calling thread visits each of them, a few microseconds each,
    /// and may run where it might before.
    /// </summary>
    /// <returns>
    /// One line that names both processors and what differs; <see langword="null"/> if none does, or none can be visited.
    /// </returns>
    public static string? Difference()
    {
        IReadOnlyList<int> processors = Allowed();
        Span<ulong> before = stackalloc ulong[Words];
        if (processors.Count < 2 || !TryGetAffinity(before))
        {
            return null;
        }
        try
        {
            return Difference(processors, static (processor, visit) =>
            {
                Span<ulong> one = stackalloc ulong[Words];
                one.Clear();
                one[processor / WordBits] = 1UL << (processor % WordBits);
                if (SetAffinity(one))
                {
                    visit(static (leaf, subLeaf) =>
                    {
                        (int eax, int ebx, int ecx, int edx) = X86Base.CpuId((int)leaf, (int)subLeaf);
                        return new CpuidResult((uint)eax, (uint)ebx, (uint)ecx, (uint)edx);
                    });
                }
            });
        }
        finally
        {
            _ = SetAffinity(before);
        }
    }

    /// <summary>The same, with somebody else to visit the processors.</summary>
    internal static string? Difference(IReadOnlyList<int> processors, Action<int, Action<Ask>> visit)
    {
        int first = -1;
        List<(uint Leaf, uint SubLeaf, CpuidResult Answer)>? boot = null;
        foreach (int processor in processors)
        {
            List<(uint, uint, CpuidResult)>? answers = null;
            visit(processor, ask => answers = Answers(ask));
            if (answers is null)
            {
                continue; // taken away meanwhile
            }
            if (boot is null)
            {
                (first, boot) = (processor, answers);
            }
            else if (Difference(boot, answers) is string difference)
            {
                return $"processor {processor} is not as processor {first}: {difference}";
            }
        }
        return null;
    }

    private static string? Difference(
        List<(uint Leaf, uint SubLeaf, CpuidResult Answer)> boot, List<(uint Leaf, uint SubLeaf, CpuidResult Answer)> other)
    {
        // The order and number of the questions follow from the answers before them, so lists differ first where an answer does.
        for (int i = 0; i < Math.Min(boot.Count, other.Count); i++)
        {
            (uint leaf, uint subLeaf, CpuidResult answer) = boot[i];
            if (ProcessorUniformity.Difference(leaf, subLeaf, answer, other[i].Answer) is string difference)
            {
                return difference;
            }
        }
        return null;
    }

    private static List<(uint, uint, CpuidResult)> Answers(Ask ask)
    {
        List<(uint, uint, CpuidResult)> answers = [];
        uint maximum = ask(LeafVendor, 0).Eax;
        answers.Add((LeafVendor, 0, new CpuidResult(maximum, 0, 0, 0)));
        if (maximum >= LeafFeatures)
        {
            CpuidResult features = Note(LeafFeatures, 0);
            for (uint subLeaf = 1; subLeaf <= Math.Min(features.Eax, 2); subLeaf++)
            {
                Note(LeafFeatures, subLeaf);
            }
            const uint EbxSgx = 1u << 2;
            if (maximum >= CpuidLeaf12.Leaf && (features.Ebx & EbxSgx) != 0)
            {
                Note(CpuidLeaf12.Leaf, 0);
                Note(CpuidLeaf12.Leaf, 1);
                const uint TypeMask = 0xF, MaximumSections = 8;
                for (uint subLeaf = 2; subLeaf < 2 + MaximumSections && (Note(CpuidLeaf12.Leaf, subLeaf).Eax & TypeMask) != 0; subLeaf++)
                {
                }
            }
        }
        if (maximum >= LeafXsave)
        {
            CpuidResult components = Note(LeafXsave, 0);
            Note(LeafXsave, 1);
            for (ulong rest = (components.Eax | ((ulong)components.Edx << 32)) & ~3UL; rest != 0; rest &= rest - 1)
            {
                Note(LeafXsave, (uint)BitOperations.TrailingZeroCount(rest));
            }
        }
        return answers;

        CpuidResult Note(uint leaf, uint subLeaf)
        {
            CpuidResult answer = ask(leaf, subLeaf);
            answers.Add((leaf, subLeaf, answer));
            return answer;
        }
    }

    private static unsafe bool TryGetAffinity(Span<ulong> mask)
    {
        mask.Clear();
        fixed (ulong* p = mask)
        {
            return Libc.SchedGetAffinity(0, (nuint)mask.Length * sizeof(ulong), p) == 0;
        }
    }

    private static unsafe bool SetAffinity(ReadOnlySpan<ulong> mask)
    {
        fixed (ulong* p = mask)
        {
            return Libc.SchedSetAffinity(0, (nuint)mask.Length * sizeof(ulong), p) == 0;
        }
    }
}
