using SoftSgx.Architecture;
using SoftSgx.Host.Platform;

namespace SoftSgx.Host.Tests.Platform;

/// <summary>Processors of one machine that are not alike.</summary>
public sealed class ProcessorSurveyTests
{
    [Theory]
    [InlineData(7u, 0u, "CPUID leaf 0x7, sub-leaf 0, EBX: 0x00000005, not 0x00000004")]
    [InlineData(7u, 1u, "CPUID leaf 0x7, sub-leaf 1, EBX")]
    [InlineData(0xDu, 1u, "CPUID leaf 0xd, sub-leaf 1, EBX")]
    [InlineData(0xDu, 5u, "CPUID leaf 0xd, sub-leaf 5, EBX")]
    [InlineData(0x12u, 0u, "CPUID leaf 0x12, sub-leaf 0, EBX")]
    [InlineData(0x12u, 3u, "CPUID leaf 0x12, sub-leaf 3, EBX")]
    public void A_difference_is_named_with_both_processors(uint leaf, uint subLeaf, string named)
    {
        string? difference = ProcessorSurvey.Difference([1, 4, 6], (processor, visit) => visit((l, s) => Answer(l, s, flip: processor == 6 && l == leaf && s == subLeaf)));
        Assert.StartsWith("processor 6 is not as processor 1: " + named, difference, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1u)] // APIC identifiers
    [InlineData(0xBu)]
    [InlineData(0x16u)]
    public void Leaves_that_say_which_processor_it_is_do_not_count(uint leaf) =>
        Assert.Null(ProcessorSurvey.Difference([0, 1], (processor, visit) => visit((l, s) => Answer(l, s, flip: processor == 1 && l == leaf))));

    [Fact]
    public void One_that_cannot_be_visited_is_left_out() =>
        Assert.Null(ProcessorSurvey.Difference([0, 1, 2], (processor, visit) =>
        {
            if (processor != 1)
            {
                visit((l, s) => Answer(l, s, flip: false));
            }
        }));

    [Fact]
    public void A_look_at_this_machine_leaves_the_thread_where_it_was()
    {
        IReadOnlyList<int> before = ProcessorSurvey.Allowed();
        Assert.NotEmpty(before);
        _ = ProcessorSurvey.Difference();
        Assert.Equal(before, ProcessorSurvey.Allowed());
    }

    private static CpuidResult Answer(uint leaf, uint subLeaf, bool flip)
    {
        CpuidResult answer = (leaf, subLeaf) switch
        {
            (0, _) => new CpuidResult(0x16, 1, 2, 3),
            (7, 0) => new CpuidResult(1, 4, 0, 0), // one sub-leaf more; SGX
            (0xD, 0) => new CpuidResult(0x27, 0x340, 0x340, 0),
            (0x12, >= 4) => default,
            (0x12, _) => new CpuidResult(1, 2, 3, 4),
            _ => new CpuidResult(leaf, subLeaf, 0, 0),
        };
        return flip ? answer with { Ebx = answer.Ebx ^ 1 } : answer;
    }
}
