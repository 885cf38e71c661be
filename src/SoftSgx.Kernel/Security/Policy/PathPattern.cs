namespace SoftSgx.Kernel;

/// <summary>
/// A path with wildcards: <c>?</c> is one character and <c>*</c> any number of them, neither a slash; <c>**</c> is any number of any.
/// </summary>
public sealed class PathPattern
{
    private const char AnyOne = '\uE000', AnyMany = '\uE001', AnyPath = '\uE002';

    private const int OnStack = 256;

    private readonly char[] _pattern;
    private readonly string _prefix;
    private readonly bool _isLiteral;
    private readonly bool _isFolder; // a literal path, then anything

    /// <summary>The pattern of a text.</summary>
    public PathPattern(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        Text = text;
        int wild = text.AsSpan().IndexOfAny('?', '*');
        _isLiteral = wild < 0;
        _prefix = _isLiteral ? text : text[..wild];
        _pattern = _isLiteral ? [] : Compile(text[_prefix.Length..]);
        _isFolder = _pattern is [AnyPath];
    }

    /// <summary>As the policy has it.</summary>
    public string Text { get; }

    /// <summary>Whether a path fits, in time that is at most the product of both lengths.</summary>
    public bool Matches(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        if (_isLiteral)
        {
            return path == Text;
        }

        if (!path.StartsWith(_prefix, StringComparison.Ordinal))
        {
            return false;
        }

        if (_isFolder)
        {
            return true;
        }

        // reachable[j]: what was read of the path so far fits the first j signs of the pattern.
        Span<bool> reachable = _pattern.Length < OnStack ? stackalloc bool[OnStack] : new bool[_pattern.Length + 1];
        reachable = reachable[..(_pattern.Length + 1)];
        reachable[0] = true;
        Skip(reachable);
        for (int i = _prefix.Length; i < path.Length; i++)
        {
            bool any = false;
            for (int j = _pattern.Length; j > 0; j--)
            {
                char sign = _pattern[j - 1];
                reachable[j] = sign switch
                {
                    AnyPath => reachable[j] || reachable[j - 1],
                    AnyMany => path[i] != '/' && (reachable[j] || reachable[j - 1]),
                    AnyOne => path[i] != '/' && reachable[j - 1],
                    _ => sign == path[i] && reachable[j - 1],
                };
                any |= reachable[j];
            }

            reachable[0] = false;
            if (!any)
            {
                return false;
            }

            Skip(reachable);
        }

        return reachable[_pattern.Length];
    }

    /// <summary>Whether a path fits one of some patterns.</summary>
    internal static bool IsAmong(IReadOnlyList<PathPattern> patterns, string path)
    {
        for (int i = 0; i < patterns.Count; i++)
        {
            if (patterns[i].Matches(path))
            {
                return true;
            }
        }

        return false;
    }

    /// <inheritdoc/>
    public override string ToString() => Text;

    /// <summary>Wildcards for many stand for none, too.</summary>
    private void Skip(Span<bool> reachable)
    {
        for (int j = 1; j <= _pattern.Length; j++)
        {
            reachable[j] |= reachable[j - 1] && _pattern[j - 1] is AnyMany or AnyPath;
        }
    }

    private static char[] Compile(string text)
    {
        List<char> pattern = [];
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] == '*')
            {
                int stars = 1;
                while (i + 1 < text.Length && text[i + 1] == '*')
                {
                    i++;
                    stars++;
                }

                pattern.Add(stars > 1 ? AnyPath : AnyMany);
            }
            else
            {
                pattern.Add(text[i] == '?' ? AnyOne : text[i]);
            }
        }

        return [.. pattern];
    }
}
