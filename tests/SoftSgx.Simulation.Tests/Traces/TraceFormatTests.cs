using System.Text;

namespace SoftSgx.Simulation.Tests;

public class TraceFormatTests
{
    private static readonly TraceEnclave[] s_enclaves = [new(1 << 20, 3), new(TraceEnclave.MaximumPages, 1), new(1, TraceEnclave.MaximumThreads)];

    [Theory]
    [InlineData(TraceFormat.Text)]
    [InlineData(TraceFormat.Binary)]
    public void What_is_written_is_read(TraceFormat format)
    {
        TraceRun[] runs = [.. RandomRuns(10_000)];
        byte[] bytes = Write(format, runs);
        Assert.Equal(runs, Read(bytes, out IReadOnlyList<TraceEnclave> enclaves));
        Assert.Equal(s_enclaves, enclaves);
    }

    [Fact]
    public void Formats_become_each_other_byte_for_byte()
    {
        TraceRun[] runs = [.. RandomRuns(1000)];
        byte[] binary = Write(TraceFormat.Binary, runs);
        byte[] text = Write(TraceFormat.Text, runs);
        Assert.Equal(text, Write(TraceFormat.Text, [.. Read(binary, out _)]));
        Assert.Equal(binary, Write(TraceFormat.Binary, [.. Read(text, out _)]));
    }

    [Fact]
    public void An_access_to_the_next_page_takes_a_byte()
    {
        TraceRun[] runs = [.. Enumerable.Range(0, 1000).Select(static page => new TraceRun((ulong)page, 1, 0, 0, page % 2 == 0))];
        Assert.InRange(Write(TraceFormat.Binary, runs).Length, 1000, 1000 + 100);
    }

    [Fact]
    public void Text_has_comments_blank_lines_and_units()
    {
        TraceRun[] runs = [.. Read(Encoding.UTF8.GetBytes(
            """
            # made by hand
            softsgx-trace 1

            enclave 256M threads 4      # the server
              enclave 8192
            r 0 17

            w 0 100+32 3
            	r 1 1   # the last page
            """.ReplaceLineEndings("\r\n")), out IReadOnlyList<TraceEnclave> enclaves)];
        Assert.Equal([new TraceEnclave(65536, 4), new TraceEnclave(2, 1)], enclaves);
        Assert.Equal([new TraceRun(17, 1, 0, 0, false), new TraceRun(100, 32, 0, 3, true), new TraceRun(1, 1, 1, 0, false)], runs);
    }

    [Theory]
    [InlineData("", "line 1: a trace starts with")]
    [InlineData("softsgx-trace 2\nenclave 4096\n", "line 1: a trace starts with")]
    [InlineData("softsgx-trace 1\n", "there is no enclave")]
    [InlineData("softsgx-trace 1\nr 0 0\n", "there is no enclave")]
    [InlineData("softsgx-trace 1\nenclave 0\n", "line 2: an enclave has 1 to")]
    [InlineData("softsgx-trace 1\nenclave 4097\n", "line 2: '4097' is no size")]
    [InlineData("softsgx-trace 1\nenclave 99999999999999999999G\n", "line 2: ")]
    [InlineData("softsgx-trace 1\nenclave 32T\n", "line 2: an enclave has 1 to")]
    [InlineData("softsgx-trace 1\nenclave 4096 threads 0\n", "line 2: an enclave has 1 to")]
    [InlineData("softsgx-trace 1\nenclave 4096 threads 99999999999\n", "line 2: an enclave has 1 to")]
    [InlineData("softsgx-trace 1\nenclave 4096 thread 1\n", "line 2: an enclave is")]
    [InlineData("softsgx-trace 1\nenclave 4096\nx 0 0\n", "line 3: 'x 0 0' is no access")]
    [InlineData("softsgx-trace 1\nenclave 4096\n\n# c\nr 1 0\n", "line 5: 'r 1 0': the enclaves of this trace are 0 to 0")]
    [InlineData("softsgx-trace 1\nenclave 4096\nr 0 1\n", "line 3: '1' leaves the enclave")]
    [InlineData("softsgx-trace 1\nenclave 4096\nr 0 0+2\n", "line 3: '0+2' leaves the enclave")]
    [InlineData("softsgx-trace 1\nenclave 4096\nr 0 0+0\n", "line 3: '0+0' leaves the enclave")]
    [InlineData("softsgx-trace 1\nenclave 4096\nr 0 0+18446744073709551615\n", "line 3: ")]
    [InlineData("softsgx-trace 1\nenclave 4096\nr 0 18446744073709551616\n", "line 3: ")]
    [InlineData("softsgx-trace 1\nenclave 4096\nr 0 -1\n", "line 3: '-1' is no page")]
    [InlineData("softsgx-trace 1\nenclave 4096\nr 0 0x0\n", "line 3: '0x0' is no page")]
    [InlineData("softsgx-trace 1\nenclave 4096\nr 0 0 1\n", "line 3: '1' is no thread")]
    [InlineData("softsgx-trace 1\nenclave 4096\nr 0 0 0 0\n", "line 3: '0' is too much")]
    [InlineData("softsgx-trace 1\nenclave 4096\nr 0\n", "line 3: '' is no page")]
    [InlineData("softsgx-trace 1\nenclave 4096\nr 0 0\nenclave 4096\n", "line 4: ")]
    public void Broken_text_is_refused_with_its_line(string text, string problem)
    {
        InvalidDataException e = Assert.Throws<InvalidDataException>(() => Read(Encoding.UTF8.GetBytes(text), out _));
        Assert.StartsWith(problem, e.Message.StartsWith("line", StringComparison.Ordinal) && !problem.StartsWith("line", StringComparison.Ordinal)
            ? e.Message[(e.Message.IndexOf(": ", StringComparison.Ordinal) + 2)..]
            : e.Message);
        Assert.DoesNotContain('\0', e.Message);
    }

    [Fact]
    public void A_line_without_end_is_refused_in_constant_memory()
    {
        using TraceReader reader = TraceFile.Open(new EndlessLine());
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<InvalidDataException>(() => reader.Read(new TraceRun[16]));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 16);
    }

    [Fact]
    public void Every_cut_of_a_binary_trace_is_refused()
    {
        byte[] bytes = Write(TraceFormat.Binary, [.. RandomRuns(50)]);
        for (int length = 0; length < bytes.Length; length++)
        {
            Assert.Throws<InvalidDataException>(() => Read(bytes[..length], out _));
        }

        Assert.Throws<InvalidDataException>(() => Read([.. bytes, 0], out _));
    }

    [Fact]
    public void Random_bytes_never_do_more_than_be_refused()
    {
        byte[] good = Write(TraceFormat.Binary, [.. RandomRuns(200)]);
        byte[] text = Write(TraceFormat.Text, [.. RandomRuns(200)]);
        SplitMix64 random = new(7);
        for (int round = 0; round < 20_000; round++)
        {
            byte[] bytes = [.. round % 2 == 0 ? good : text];
            for (int changes = 1 + random.Below(4); changes > 0; changes--)
            {
                bytes[random.Below(bytes.Length)] = (byte)random.Next();
            }

            try
            {
                foreach (TraceRun run in Read(bytes, out IReadOnlyList<TraceEnclave> enclaves))
                {
                    TraceEnclave enclave = enclaves[run.Enclave];
                    Assert.True(run.Length > 0 && run.Page < enclave.Pages && run.Length <= enclave.Pages - run.Page);
                    Assert.True(run.Thread < enclave.Threads);
                }
            }
            catch (InvalidDataException)
            {
                // As it should be.
            }
        }
    }

    private static IEnumerable<TraceRun> RandomRuns(int count)
    {
        SplitMix64 random = new(3);
        for (int i = 0; i < count; i++)
        {
            int enclave = random.Below(s_enclaves.Length);
            ulong page = random.Below(s_enclaves[enclave].Pages);
            ulong length = random.Chance(0.5) ? 1 : 1 + random.Below(Math.Min(uint.MaxValue, s_enclaves[enclave].Pages - page));
            yield return new TraceRun(page, (uint)length, (ushort)enclave, (ushort)random.Below(s_enclaves[enclave].Threads), random.Chance(0.5));
        }
    }

    private static byte[] Write(TraceFormat format, TraceRun[] runs)
    {
        using MemoryStream stream = new();
        using TraceWriter writer = TraceWriter.Create(stream, format, s_enclaves);
        writer.Write(runs);
        writer.Complete();
        return stream.ToArray();
    }

    private static List<TraceRun> Read(byte[] bytes, out IReadOnlyList<TraceEnclave> enclaves)
    {
        using TraceFileReader reader = TraceFile.Open(new MemoryStream(bytes));
        enclaves = reader.Enclaves;
        List<TraceRun> all = [];
        TraceRun[] some = new TraceRun[7];
        while (reader.Read(some) is var count and > 0)
        {
            all.AddRange(some.AsSpan(0, count));
        }

        return all;
    }

    private sealed class EndlessLine : Stream
    {
        private static readonly byte[] s_header = Encoding.ASCII.GetBytes("softsgx-trace 1\nenclave 4096\nr 0 ");
        private long _at;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => _at;
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count)
        {
            for (int i = 0; i < count; i++, _at++)
            {
                buffer[offset + i] = _at < s_header.Length ? s_header[_at] : (byte)'0';
            }

            return count;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
