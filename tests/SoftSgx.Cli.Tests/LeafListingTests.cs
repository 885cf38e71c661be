using System.Text.Json;
using SoftSgx.Architecture;

namespace SoftSgx.Cli.Tests;

/// <summary>The list of leaves: text, JSON and the documentation say the same.</summary>
public sealed class LeafListingTests
{
    [Fact]
    public void The_page_in_docs_is_the_generated_one()
    {
        string page = Path.Combine(Root(), "docs", "leaves.md");
        Assert.True(LeafListing.Page() == File.ReadAllText(page), $"{page} is out of date: ./softsgx leaves --markdown >docs/leaves.md");
    }

    [Fact]
    public void Text_has_a_line_for_each_leaf()
    {
        string[] lines = LeafListing.Text().TrimEnd('\n').Split('\n');
        Assert.Equal(LeafTable.All.Length, lines.Count(static line => line.StartsWith("ENCL", StringComparison.Ordinal)));
        Assert.All(LeafTable.All.Where(static leaf => leaf.Support != LeafSupport.Implemented), leaf =>
            Assert.Contains(lines, line => line.StartsWith("not supported:", StringComparison.Ordinal) && line.Contains(leaf.Name, StringComparison.Ordinal) && line.EndsWith(leaf.Reason, StringComparison.Ordinal)));
        Assert.Contains(lines, static line => line.StartsWith("ENCLU 0x02", StringComparison.Ordinal) && line.Contains("EENTER", StringComparison.Ordinal));
        Assert.DoesNotContain(lines, static line => line.EndsWith(' '));
    }

    [Fact]
    public void Json_says_what_the_table_says()
    {
        using JsonDocument document = JsonDocument.Parse(LeafListing.Json());
        JsonElement[] leaves = [.. document.RootElement.EnumerateArray()];
        Assert.Equal(LeafTable.All.Length, leaves.Length);
        for (int i = 0; i < leaves.Length; i++)
        {
            Assert.Equal(LeafTable.All[i].Name, leaves[i].GetProperty("name").GetString());
            Assert.Equal(LeafTable.All[i].Number, leaves[i].GetProperty("number").GetUInt32());
            Assert.Equal(LeafTable.All[i].Support == LeafSupport.Implemented, leaves[i].GetProperty("supported").GetBoolean());
            Assert.Equal(LeafTable.All[i].Support == LeafSupport.Implemented, leaves[i].GetProperty("reason").ValueKind == JsonValueKind.Null);
        }
    }

    private static string Root()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "SoftSgx.slnx")))
        {
            folder = folder.Parent;
        }
        return folder?.FullName ?? throw new InvalidOperationException("The tests do not lie in the repository.");
    }
}
