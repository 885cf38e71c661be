namespace SoftSgx.Host.Tests.Fuzz;

/// <summary>Compares outcomes with expectations, and shrinks sequences whose outcomes differ.</summary>
internal static class Difference
{
    /// <summary>The first call whose outcome is not the expected one; −1 if there is none.</summary>
    internal static int Find(IReadOnlyList<Call> calls, IReadOnlyList<string> expected, IReadOnlyList<string> lines)
    {
        int line = 0;
        for (int i = 0; i < expected.Count; i++)
        {
            if (expected[i].Length == 0)
            {
                continue; // no line is printed
            }
            if (line >= lines.Count || !Matches($"{calls[i]} = {expected[i]}", lines[line++]))
            {
                return i;
            }
        }
        return -1;
    }

    /// <summary>Cuts calls out as long as an outcome still differs from the model's.</summary>
    internal static IReadOnlyList<Call> Shrink(IReadOnlyList<Call> calls, Func<IReadOnlyList<Call>, bool> differs)
    {
        for (int size = calls.Count / 2; size > 0; size /= 2)
        {
            for (int start = calls.Count - size; start >= 0; start -= size)
            {
                List<Call> shorter = [.. calls.Take(start), .. calls.Skip(start + size)];
                if (IsWhole(shorter) && Generator.Resign(shorter) is { } signed && IsWhole(signed) && differs(signed))
                {
                    calls = signed;
                }
            }
        }
        return calls;
    }

    /// <summary>Every fork has its exit.</summary>
    private static bool IsWhole(IReadOnlyList<Call> calls)
    {
        int depth = 0;
        foreach (Call call in calls)
        {
            depth += call.Name == "fork" ? 1 : call.Name == "exit" ? -1 : 0;
            if (depth < 0)
            {
                return false;
            }
        }
        return depth == 0 && calls.Count > 0;
    }

    private static bool Matches(string expected, string line)
    {
        if (expected == line)
        {
            return true;
        }
        string[] left = expected.Split(' '), right = line.Split(' ');
        return left.Length == right.Length && left.Zip(right).All(static pair => pair.First == "*" || pair.First == pair.Second);
    }
}
