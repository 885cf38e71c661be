using FsCheck;
using FsCheck.Fluent;

namespace SoftSgx.Processor.Tests.Differential;

/// <summary>Random programs. Weights keep most steps plausible; six of seven are in order in every respect.</summary>
internal static class Programs
{
    public const int Length = 60;

    private static readonly (int Weight, Op Op)[] s_weights =
    [
        (4, Op.Build), (3, Op.Create), (8, Op.Add), (4, Op.Extend), (3, Op.Init), (5, Op.Remove),
        (2, Op.Pa), (6, Op.Block), (6, Op.Track), (2, Op.TrackC), (7, Op.Wb), (4, Op.Swap), (10, Op.Ld),
        (6, Op.Aug), (5, Op.ModPr), (4, Op.ModT), (3, Op.DbgRd), (3, Op.DbgWr), (2, Op.RdInfo),
        (16, Op.Enter), (8, Op.Resume), (4, Op.Exit), (8, Op.Aex), (4, Op.Report), (5, Op.GetKey),
        (9, Op.Accept), (5, Op.ModPe), (5, Op.AcceptCopy), (9, Op.DecCssa), (1, Op.AnyEnclu), (7, Op.Poke), (3, Op.Map),
    ];

    private static readonly (int Weight, Off Off)[] s_offs =
    [
        (40, Off.None), (1, Off.Page), (1, Off.SecondPage), (1, Off.Outside), (1, Off.Alignment), (3, Off.Field), (1, Off.Bit),
    ];

    public static Arbitrary<LeafProgram> Arbitrary(int length, bool everything)
    {
        Gen<Op> op = Gen.Frequency(s_weights.Select(w => (w.Weight, Gen.Constant(w.Op))));
        Gen<Off> off = Gen.Frequency(s_offs.Select(o => (o.Weight, Gen.Constant(o.Off))));
        Gen<int> number = Gen.Choose(0, 255);
        Gen<Step> step =
            from o in op
            from a in number
            from b in number
            from c in number
            from f in off
            select new Step(o, a, b, c, f);
        Gen<LeafProgram> program = step.ArrayOf(length).Select(steps => new LeafProgram([new Step(Op.Build, 0, 0, 0, Off.None), .. steps], everything));
        bool shrink = Environment.GetEnvironmentVariable("SOFTSGX_NO_SHRINKING") != "1";
        return shrink ? Arb.From(program, Shrink) : Arb.From(program, _ => []);
    }

    /// <summary>Shorter programs first, then steps that are in order.</summary>
    private static IEnumerable<LeafProgram> Shrink(LeafProgram program)
    {
        Step[] steps = program.Steps;
        for (int size = steps.Length / 2; size > 0; size /= 2)
        {
            for (int start = 0; start + size <= steps.Length; start += size)
            {
                yield return new LeafProgram([.. steps[..start], .. steps[(start + size)..]], program.Everything);
            }
        }

        for (int i = 0; i < steps.Length; i++)
        {
            if (steps[i].Off != Off.None)
            {
                yield return new LeafProgram([.. steps[..i], steps[i] with { Off = Off.None }, .. steps[(i + 1)..]], program.Everything);
            }
        }
    }
}
