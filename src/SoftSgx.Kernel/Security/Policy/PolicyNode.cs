using System.Text;
using System.Text.Json;

namespace SoftSgx.Kernel;

/// <summary>A value of a policy file that knows where it stands.</summary>
internal sealed class PolicyNode
{
    /// <summary>Deeper files are none of ours.</summary>
    private const int MaximumDepth = 16;

    private PolicyNode(JsonTokenType kind, long at, string path)
    {
        Kind = kind;
        At = at;
        Path = path;
    }

    /// <summary>StartObject, StartArray, String, Number, True, False or Null.</summary>
    public JsonTokenType Kind { get; }

    /// <summary>Byte offset at which it begins.</summary>
    public long At { get; }

    /// <summary>Where in the document.</summary>
    public string Path { get; }

    /// <summary>Text of a string, or of a number.</summary>
    public string Text { get; private init; } = "";

    /// <summary>Members of an object, in order.</summary>
    public List<(string Name, long At, PolicyNode Value)> Members { get; } = [];

    /// <summary>Elements of an array.</summary>
    public List<PolicyNode> Items { get; } = [];

    /// <summary>The member of that name; <see langword="null"/> if there is none.</summary>
    public PolicyNode? this[string name] => Members.Find(member => member.Name == name).Value;

    /// <summary>Reads a document: JSON in which comments and commas at the end of lists are allowed.</summary>
    /// <param name="utf8">The file, without byte order mark.</param>
    /// <param name="error">What is wrong, if it is no JSON.</param>
    public static PolicyNode? Read(ReadOnlySpan<byte> utf8, out PolicyError? error)
    {
        Utf8JsonReader reader = new(utf8, new JsonReaderOptions
        {
            CommentHandling = JsonCommentHandling.Skip,
            AllowTrailingCommas = true,
            MaxDepth = MaximumDepth,
        });
        error = null;
        try
        {
            reader.Read();
            PolicyNode root = ReadValue(ref reader, "");
            reader.Read(); // what follows the value is an error
            return root;
        }
        catch (JsonException e)
        {
            int line = (int)(e.LineNumber ?? 0);
            error = new PolicyError(line + 1, ColumnOf(utf8, line, (int)(e.BytePositionInLine ?? 0)), "", $"this is no JSON: {Reason(e)}");
            return null;
        }
        catch (InvalidOperationException)
        {
            // Strings may hold anything until they are decoded.
            (int line, int column) = PositionOf(utf8, reader.TokenStartIndex);
            error = new PolicyError(line, column, "", "this is no JSON: the text is not UTF-8, or half of a surrogate pair");
            return null;
        }
    }

    /// <summary>Line and character of a byte offset, both from 1.</summary>
    public static (int Line, int Column) PositionOf(ReadOnlySpan<byte> utf8, long at)
    {
        ReadOnlySpan<byte> before = utf8[..(int)Math.Min(at, utf8.Length)];
        int start = before.LastIndexOf((byte)'\n') + 1;
        return (before.Count((byte)'\n') + 1, Encoding.UTF8.GetCharCount(before[start..]) + 1);
    }

    private static int ColumnOf(ReadOnlySpan<byte> utf8, int line, int bytes)
    {
        for (; line > 0; line--)
        {
            utf8 = utf8[(utf8.IndexOf((byte)'\n') + 1)..];
        }

        return Encoding.UTF8.GetCharCount(utf8[..Math.Min(bytes, utf8.Length)]) + 1;
    }

    /// <summary>The library's message without the position that follows it.</summary>
    private static string Reason(JsonException e)
    {
        int end = e.Message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        return end < 0 ? e.Message : e.Message[..end];
    }

    private static PolicyNode ReadValue(ref Utf8JsonReader reader, string path)
    {
        long at = reader.TokenStartIndex;
        PolicyNode node = new(reader.TokenType, at, path)
        {
            Text = reader.TokenType switch
            {
                JsonTokenType.String => reader.GetString()!,
                JsonTokenType.Number => Encoding.ASCII.GetString(reader.ValueSpan),
                _ => "",
            },
        };
        switch (reader.TokenType)
        {
            case JsonTokenType.StartArray:
                for (reader.Read(); reader.TokenType != JsonTokenType.EndArray; reader.Read())
                {
                    node.Items.Add(ReadValue(ref reader, $"{path}[{node.Items.Count}]"));
                }

                break;
            case JsonTokenType.StartObject:
                for (reader.Read(); reader.TokenType != JsonTokenType.EndObject; reader.Read())
                {
                    (string name, long nameAt) = (reader.GetString()!, reader.TokenStartIndex);
                    reader.Read();
                    node.Members.Add((name, nameAt, ReadValue(ref reader, path.Length == 0 ? name : $"{path}.{name}")));
                }

                break;
        }

        return node;
    }
}
