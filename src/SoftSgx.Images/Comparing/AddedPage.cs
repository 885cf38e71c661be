using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Images;

/// <summary>A page as EADD leaves it: what is measured of it. SDM vol. 3D, EADD.</summary>
internal static class AddedPage
{
    /// <summary>SECINFO.FLAGS as EADD measures them.</summary>
    public static SecInfoFlags Flags(PageRun run) =>
        run.PageType == PageType.PT_TCS ? run.Flags & ~SecInfoFlags.RWX : run.Flags;

    /// <summary>Contents as EEXTEND would measure them.</summary>
    public static void Read(PageRun run, ulong index, Span<byte> page)
    {
        run.Content.Read(index, page);
        SecInfo info = new() { Flags = run.Flags };
        EAdd.ResetIfTcs(ref info, page);
    }
}
