using System.Text;
using System.Text.RegularExpressions;

namespace SoftSgx.Kernel.Tests;

public class PathPatternTests
{
    [Theory]
    [InlineData("/usr/bin/a", "/usr/bin/a", true)]
    [InlineData("/usr/bin/a", "/usr/bin/ab", false)]
    [InlineData("/usr/bin/*", "/usr/bin/", true)]
    [InlineData("/usr/bin/*", "/usr/bin/a/b", false)]
    [InlineData("/usr/**", "/usr/bin/a/b", true)]
    [InlineData("/usr/**/b", "/usr/a/b", true)]
    [InlineData("/usr/**/b", "/usr/b", false)]
    [InlineData("/a?c", "/abc", true)]
    [InlineData("/a?c", "/a/c", false)]
    [InlineData("/a*c", "/ac", true)]
    [InlineData("/lib*.so*", "/libx.so.1", true)]
    [InlineData("/*", "/ü", true)]
    [InlineData("/**", "/", true)]
    public void Wildcards(string pattern, string path, bool matches) => Assert.Equal(matches, new PathPattern(pattern).Matches(path));

    [Fact]
    public void It_agrees_with_a_regular_expression()
    {
        var random = new Random(20261122);
        for (int round = 0; round < 20_000; round++)
        {
            string pattern = "/" + Draw(random, "ab/?**", 8);
            string path = "/" + Draw(random, "ab/", 10);
            string regex = "^" + Regex.Replace(
                pattern, @"\*\*+|\*|\?|[^*?]+", static m => m.Value switch { "?" => "[^/]", "*" => "[^/]*", ['*', ..] => ".*", _ => Regex.Escape(m.Value) }) + "$";
            Assert.True(Regex.IsMatch(path, regex) == new PathPattern(pattern).Matches(path), $"seed 20261122, round {round}: {pattern} {path}");
        }
    }

    [Fact]
    public void A_hostile_path_costs_no_more_than_both_lengths()
    {
        // Would take for ever with backtracking.
        Assert.False(new PathPattern("/" + string.Concat(Enumerable.Repeat("**a", 200)) + "b").Matches("/" + new string('a', 4000)));
    }

    private static string Draw(Random random, string signs, int maximum)
    {
        var text = new StringBuilder();
        for (int i = random.Next(maximum + 1); i > 0; i--)
        {
            text.Append(signs[random.Next(signs.Length)]);
        }

        return text.ToString();
    }
}
