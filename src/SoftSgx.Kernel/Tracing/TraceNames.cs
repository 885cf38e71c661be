using System.Globalization;
using System.Numerics;
using SoftSgx.Architecture;

namespace SoftSgx.Kernel.Tracing;

/// <summary>The architecture's values in the words of people who read traces.</summary>
public static class TraceNames
{
    private const SecInfoFlags State = SecInfoFlags.PENDING | SecInfoFlags.MODIFIED | SecInfoFlags.PR;

    /// <summary>Type, permissions and state of a page: <c>REG rw-</c>, <c>TCS ---</c>, <c>REG rw- PENDING</c>.</summary>
    public static string Of(in SecInfo secInfo)
    {
        string text = $"{Of(secInfo.PageType)} {Permissions(secInfo.Permissions)}";
        if ((secInfo.Flags & State) != 0)
        {
            text += " " + Flags(secInfo.Flags & State);
        }

        return secInfo.IsReservedZero ? text : text + " reserved";
    }

    /// <summary>A page type without its prefix.</summary>
    public static string Of(PageType type)
        => Enum.IsDefined(type) ? type.ToString()[3..] : string.Create(CultureInfo.InvariantCulture, $"type {(byte)type}");

    /// <summary>R, W and X as <c>rwx</c>, with dashes for those that are missing; other bits in hexadecimal.</summary>
    public static string Permissions(SecInfoFlags flags)
    {
        SecInfoFlags rest = flags & ~SecInfoFlags.RWX;
        string text = string.Concat(
            (flags & SecInfoFlags.R) != 0 ? "r" : "-",
            (flags & SecInfoFlags.W) != 0 ? "w" : "-",
            (flags & SecInfoFlags.X) != 0 ? "x" : "-");
        return rest == 0 ? text : string.Create(CultureInfo.InvariantCulture, $"{text}|0x{(ulong)rest:x}");
    }

    /// <summary>The error code of a page fault: <c>P|W|U|SGX</c>.</summary>
    public static string Of(PageFaultError error) => Join((ulong)error, s_pageFaultNames);

    /// <summary>An error code of a leaf; one that the architecture does not define as a number.</summary>
    public static string Of(SgxError error)
        => Enum.IsDefined(error) ? error.ToString() : string.Create(CultureInfo.InvariantCulture, $"SGX error {(uint)error}");

    /// <summary>An exception as the manual writes it: <c>#PF</c>.</summary>
    public static string OfVector(byte vector)
        => Enum.IsDefined((ExceptionVector)vector)
            ? "#" + (ExceptionVector)vector
            : string.Create(CultureInfo.InvariantCulture, $"#{vector}");

    /// <summary>The bits of a flags enumeration by their names, others in hexadecimal; <c>0</c> for none.</summary>
    public static string Flags<T>(T flags)
        where T : struct, Enum
        => Join(Convert.ToUInt64(flags, CultureInfo.InvariantCulture), FlagsOf<T>.Names);

    /// <summary>A value of an enumeration by its name, others in hexadecimal.</summary>
    public static string Value<T>(T value)
        where T : struct, Enum
        => Enum.IsDefined(value)
            ? value.ToString()
            : string.Create(CultureInfo.InvariantCulture, $"0x{Convert.ToUInt64(value, CultureInfo.InvariantCulture):x}");

    /// <summary>Bits by their names, joined by bars; bits without a name in hexadecimal; <c>0</c> for none.</summary>
    public static string Join(ulong value, IEnumerable<(ulong Bit, string Name)> names)
    {
        if (value == 0)
        {
            return "0";
        }

        List<string> parts = [];
        foreach ((ulong bit, string name) in names)
        {
            if ((value & bit) == bit)
            {
                parts.Add(name);
                value &= ~bit;
            }
        }

        if (value != 0)
        {
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"0x{value:x}"));
        }

        return string.Join('|', parts);
    }

    private static readonly (ulong Bit, string Name)[] s_pageFaultNames =
    [
        ((ulong)PageFaultError.Present, "P"),
        ((ulong)PageFaultError.Write, "W"),
        ((ulong)PageFaultError.User, "U"),
        ((ulong)PageFaultError.Reserved, "RSVD"),
        ((ulong)PageFaultError.Instruction, "I"),
        ((ulong)PageFaultError.ProtectionKey, "PK"),
        ((ulong)PageFaultError.Sgx, "SGX"),
    ];

    private static class FlagsOf<T>
        where T : struct, Enum
    {
        internal static readonly (ulong Bit, string Name)[] Names =
        [
            .. Enum.GetValues<T>()
                .Select(static flag => (Bit: Convert.ToUInt64(flag, CultureInfo.InvariantCulture), Name: flag.ToString()))
                .Where(static flag => BitOperations.IsPow2(flag.Bit)),
        ];
    }
}
