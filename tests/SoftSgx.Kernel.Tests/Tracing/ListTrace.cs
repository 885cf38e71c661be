using SoftSgx.Kernel.Tracing;

namespace SoftSgx.Kernel.Tests;

/// <summary>Keeps events.</summary>
internal sealed class ListTrace(TraceKinds kinds = TraceKinds.All) : ITrace
{
    public List<TraceEvent> Events { get; } = [];

    public bool Wants(TraceKinds kind) => (kinds & kind) != 0;

    public void Write(TraceEvent e)
    {
        Assert.True(Wants(e.Kind), $"{e.Kind} was not wanted");
        lock (Events)
        {
            Events.Add(e);
        }
    }

    public void Flush()
    {
    }

    /// <summary>"name(field=value, …) = result error {…}", without addresses' enclosing decoration.</summary>
    public static string Text(TraceEvent e)
        => $"{e.Name}({Join(e, false)}) = {e.Returned?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "-"} {e.Error}{{{Join(e, true)}}}";

    private static string Join(TraceEvent e, bool results)
        => string.Join(", ", e.Fields.Where(field => field.Part == TracePart.Result == results).Select(static field => $"{field.Name}={Value(field)}"));

    private static string Value(TraceField field) => field.Format switch
    {
        TraceFormat.Decimal => ((long)field.Value).ToString(System.Globalization.CultureInfo.InvariantCulture),
        TraceFormat.Name or TraceFormat.Quoted => field.Text!,
        _ when field.Offset is ulong offset => $"+{offset:x}",
        _ => $"0x{field.Value:x}",
    };
}
