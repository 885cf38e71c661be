using System.Text;

namespace SoftSgx.Host.Tests.EndToEnd;

/// <summary>How a command ended, what it said and what it left behind.</summary>
/// <param name="End">"exit N", "signal N" or "timeout".</param>
/// <param name="Left">Processes that lived on after its end, by name.</param>
/// <param name="Output">Its standard output.</param>
/// <param name="Error">Its standard error.</param>
internal sealed record Outcome(string End, IReadOnlyList<string> Left, byte[] Output, byte[] Error)
{
    /// <summary>Standard output with every byte one character, so that nothing is lost.</summary>
    internal string Text => Encoding.Latin1.GetString(Output);

    /// <summary>Standard error, the same way.</summary>
    internal string ErrorText => Encoding.Latin1.GetString(Error);

    public override string ToString() =>
        $"{End}; left: [{string.Join("; ", Left)}]\n--- stdout\n{Text}\n--- stderr\n{ErrorText}";

    /// <summary>Asserts that it ended like this and left nothing.</summary>
    internal Outcome Ended(string end)
    {
        Assert.True(End == end && Left.Count == 0 && !LooksLikeCrash, $"expected {end} and nothing left; got {this}");
        return this;
    }

    /// <summary>Asserts status 0 and exactly this standard output.</summary>
    internal void Said(string text)
    {
        _ = Ended("exit 0");
        Assert.Equal(text, Text);
    }

    /// <summary>The runtime's own words about an exception that nobody caught: never allowed.</summary>
    private bool LooksLikeCrash =>
        ErrorText.Contains("Unhandled exception", StringComparison.Ordinal) || ErrorText.Contains("   at SoftSgx.", StringComparison.Ordinal);
}
