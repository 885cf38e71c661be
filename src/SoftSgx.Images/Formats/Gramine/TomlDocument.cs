using System.Globalization;
using System.Text;

namespace SoftSgx.Images;

/// <summary>
/// The scalars of a TOML document by their dotted names: what a Gramine manifest needs. Dates are read as text.
/// TOML 1.0.0, https://toml.io.
/// </summary>
/// <remarks>Bounds: values, lengths of names, nesting of arrays and inline tables, since a hostile file may have any.</remarks>
internal sealed class TomlDocument
{
    internal const int MostValues = 1 << 16;
    private const int DeepestNesting = 32;

    // Each element of an array has a name, and so the array's.
    private const int LongestName = 1024;

    private readonly string _text;
    private readonly List<TomlValue> _values = [];
    private readonly Dictionary<string, int> _tables = [];
    private int _at;
    private int _nesting;

    private TomlDocument(string text) => _text = text;

    /// <summary>Reads a document.</summary>
    /// <exception cref="ImageException">It is no TOML; the offset is in bytes.</exception>
    internal static IReadOnlyList<TomlValue> Read(ReadOnlySpan<byte> bytes)
    {
        string text;
        try
        {
            text = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes);
        }
        catch (DecoderFallbackException e)
        {
            throw new ImageException(Math.Max(e.Index, 0), "it is no UTF-8, so no TOML");
        }

        TomlDocument document = new(text);
        document.ReadLines();
        return document._values;
    }

    private void ReadLines()
    {
        string table = "";
        while (SkipToContent())
        {
            if (Peek() == '[')
            {
                table = TableName();
            }
            else
            {
                string key = Join(table, Key());
                Expect('=');
                Value(key);
            }

            EndOfLine();
        }
    }

    // [a.b] or [[a.b]]; each of the latter is a table of its own, by number.
    private string TableName()
    {
        Expect('[');
        bool isArray = TryTake('[');
        string name = Key();
        Expect(']');
        if (!isArray)
        {
            return name;
        }

        Expect(']');
        int number = _tables.GetValueOrDefault(name);
        _tables[name] = number + 1;
        return string.Create(CultureInfo.InvariantCulture, $"{name}[{number}]");
    }

    private string Key()
    {
        StringBuilder key = new();
        do
        {
            SkipBlanks();
            if (key.Length > 0)
            {
                key.Append('.');
            }

            if (Peek() is '"' or '\'')
            {
                key.Append(Text());
            }
            else
            {
                int start = _at;
                while (_at < _text.Length && (char.IsAsciiLetterOrDigit(_text[_at]) || _text[_at] is '_' or '-'))
                {
                    _at++;
                }

                key.Append(_at > start ? _text[start.._at] : throw Wrong("here should stand a key"));
            }

            SkipBlanks();
        }
        while (TryTake('.'));
        return key.ToString();
    }

    private void Value(string key)
    {
        if (key.Length > LongestName)
        {
            throw Wrong($"a name has more than {LongestName} characters");
        }

        SkipBlanks();
        switch (Peek())
        {
            case '"' or '\'':
                Add(key, Text(), isText: true);
                return;
            case '[':
                Nest(key, Array);
                return;
            case '{':
                Nest(key, InlineTable);
                return;
            default:
                int start = _at;
                while (_at < _text.Length && !char.IsWhiteSpace(_text[_at]) && _text[_at] is not (',' or ']' or '}' or '#' or '='))
                {
                    _at++;
                }

                Add(key, _at > start ? _text[start.._at] : throw Wrong("here should stand a value"), isText: false);
                return;
        }
    }

    private void Nest(string key, Action<string> read)
    {
        if (++_nesting > DeepestNesting)
        {
            throw Wrong($"arrays and tables are nested more than {DeepestNesting} deep");
        }

        read(key);
        _nesting--;
    }

    private void Array(string key)
    {
        Expect('[');
        for (int number = 0; ; number++)
        {
            SkipToContent();
            if (TryTake(']'))
            {
                return;
            }

            Value(string.Create(CultureInfo.InvariantCulture, $"{key}[{number}]"));
            SkipToContent();
            if (!TryTake(','))
            {
                Expect(']');
                return;
            }
        }
    }

    private void InlineTable(string key)
    {
        Expect('{');
        SkipToContent();
        while (!TryTake('}'))
        {
            string inner = Join(key, Key());
            Expect('=');
            Value(inner);
            SkipToContent();
            if (!TryTake(','))
            {
                Expect('}');
                return;
            }

            SkipToContent();
        }
    }

    private string Text()
    {
        char quote = _text[_at];
        string longQuote = new(quote, 3);
        if (string.CompareOrdinal(_text, _at, longQuote, 0, longQuote.Length) == 0)
        {
            int from = _at + longQuote.Length;
            int to = _text.IndexOf(longQuote, from, StringComparison.Ordinal);
            if (to < 0)
            {
                throw Wrong("a text does not end");
            }

            _at = to + longQuote.Length;
            return _text[from..to];
        }

        int start = ++_at;
        StringBuilder text = new();
        while (_at < _text.Length && _text[_at] != quote && _text[_at] != '\n')
        {
            text.Append(quote == '"' && _text[_at] == '\\' ? Escape() : _text[_at++].ToString());
        }

        if (_at >= _text.Length || _text[_at] != quote)
        {
            _at = start - 1;
            throw Wrong("a text does not end");
        }

        _at++;
        return text.ToString();
    }

    private string Escape()
    {
        char what = _at + 1 < _text.Length ? _text[_at + 1] : '\0';
        int digits = what switch { 'u' => 4, 'U' => 8, _ => 0 };
        if (digits > 0
            && _at + 2 + digits <= _text.Length
            && int.TryParse(_text.AsSpan(_at + 2, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int code)
            && Rune.IsValid(code))
        {
            _at += 2 + digits;
            return new Rune(code).ToString();
        }

        string? plain = what switch
        {
            'b' => "\b",
            't' => "\t",
            'n' => "\n",
            'f' => "\f",
            'r' => "\r",
            '"' => "\"",
            '\\' => "\\",
            _ => null,
        };
        if (plain is null)
        {
            throw Wrong("an escape that TOML does not have");
        }

        _at += 2;
        return plain;
    }

    private void Add(string key, string value, bool isText)
    {
        if (_values.Count == MostValues)
        {
            throw Wrong($"there are more than {MostValues} values");
        }

        _values.Add(new TomlValue(key, value, isText));
    }

    private void EndOfLine()
    {
        SkipBlanks();
        if (Peek() is not ('\n' or '\r' or '#' or '\0'))
        {
            throw Wrong("behind a value stands something else");
        }
    }

    // To the next character that is neither blank, line's end nor comment; false at the end.
    private bool SkipToContent()
    {
        for (; _at < _text.Length; _at++)
        {
            if (_text[_at] == '#')
            {
                int end = _text.IndexOf('\n', _at);
                _at = end < 0 ? _text.Length - 1 : end;
            }
            else if (_text[_at] is not (' ' or '\t' or '\r' or '\n'))
            {
                return true;
            }
        }

        return false;
    }

    private void SkipBlanks()
    {
        while (_at < _text.Length && _text[_at] is ' ' or '\t')
        {
            _at++;
        }
    }

    private char Peek() => _at < _text.Length ? _text[_at] : '\0';

    private bool TryTake(char c)
    {
        if (Peek() != c)
        {
            return false;
        }

        _at++;
        return true;
    }

    private void Expect(char c)
    {
        SkipBlanks();
        if (!TryTake(c))
        {
            throw Wrong($"here should stand '{c}'");
        }
    }

    private static string Join(string table, string key) => table.Length == 0 ? key : $"{table}.{key}";

    private ImageException Wrong(string reason) => new(Encoding.UTF8.GetByteCount(_text.AsSpan(0, Math.Min(_at, _text.Length))), reason);
}

/// <summary>A scalar of a TOML document.</summary>
/// <param name="Name">Its dotted name; elements of arrays by number: "sgx.trusted_files[3].uri".</param>
/// <param name="Text">Its value; a text without quotes.</param>
/// <param name="IsText">It stood in quotes.</param>
internal sealed record TomlValue(string Name, string Text, bool IsText);
