using System.Buffers.Binary;
using SoftSgx.Host.Tests.EndToEnd;

namespace SoftSgx.Host.Tests.Fuzz.Model;

/// <summary>The contents of the source pages, for the measurement.</summary>
internal static class SourcePages
{
    private static readonly Lazy<byte[]> s_code = new(static () => Convert.FromHexString(Machine.Run([CallRunner.Program, "code"]).Text));
    private static readonly byte[] s_tcs = MakeTcs();
    private static readonly byte[] s_secInfos = MakeSecInfos();
    private static readonly byte[] s_junk = [.. Enumerable.Repeat((byte)0xff, (int)Layout.Page)];

    internal static Content ContentOf(Source source) => source switch
    {
        Source.Code => Content.Code,
        Source.Tcs => Content.Tcs,
        Source.Junk => Content.Junk,
        _ => Content.SecInfos,
    };

    internal static ReadOnlySpan<byte> BytesOf(Content content) => content switch
    {
        Content.Code => s_code.Value,
        Content.Tcs => s_tcs,
        Content.Junk => s_junk,
        _ => s_secInfos,
    };

    /// <summary>OSSA is page 1, OENTRY page 0, NSSA 1.</summary>
    private static byte[] MakeTcs()
    {
        byte[] page = new byte[Layout.Page];
        BinaryPrimitives.WriteUInt64LittleEndian(page.AsSpan(16), Layout.SsaPage * Layout.Page);
        BinaryPrimitives.WriteUInt32LittleEndian(page.AsSpan(28), 1);
        page.AsSpan(64, 8).Fill(0xff);
        return page;
    }

    private static byte[] MakeSecInfos()
    {
        byte[] page = new byte[Layout.Page];
        for (int i = 0; i < Layout.SecInfos.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(page.AsSpan(i * 64), Layout.SecInfos[i]);
        }
        return page;
    }
}
