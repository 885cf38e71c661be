using System.Buffers;
using System.Globalization;
using System.Text;

namespace SoftSgx.Kernel;

/// <summary>Takes audit lines.</summary>
public interface IAuditLog
{
    /// <summary>Takes one line, its end included. Comes from any thread, perhaps under an enclave's lock.</summary>
    public void Write(string line);
}

/// <summary>
/// One denial as one line, in the style of the kernel's access-vector messages:
/// <c>type=AVC msg=audit(SECONDS:SERIAL): avc:  denied  { PERMISSION } for  key=value …</c>
/// </summary>
/// <remarks>
/// Text that a program chose is quoted, or in hexadecimal if it holds anything but printable characters without quotes and spaces, as
/// audit_log_untrustedstring does: a program cannot write fields or lines of its own.
/// </remarks>
internal sealed class AuditRecord
{
    private static readonly SearchValues<char> s_plain = SearchValues.Create(
        "!#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~");

    private readonly StringBuilder _text;

    public AuditRecord(DateTimeOffset time, long serial, string permission)
    {
        _text = new StringBuilder(256);
        Append($"type=AVC msg=audit({time.ToUnixTimeSeconds()}.{time.Millisecond:000}:{serial}): avc:  denied  {{ {permission} }} for ");
    }

    /// <summary>Adds a number or a word of ours.</summary>
    public AuditRecord Field(string key, FormattableString value)
    {
        _text.Append(' ').Append(key).Append('=');
        Append(value);
        return this;
    }

    /// <summary>Adds text that may be anybody's.</summary>
    public AuditRecord Untrusted(string key, string value)
    {
        _text.Append(' ').Append(key).Append('=');
        if (value.AsSpan().ContainsAnyExcept(s_plain))
        {
            _text.Append(Convert.ToHexString(Encoding.UTF8.GetBytes(value)));
        }
        else
        {
            _text.Append('"').Append(value).Append('"');
        }

        return this;
    }

    /// <summary>The line, its end included.</summary>
    public override string ToString() => _text.ToString() + "\n";

    private void Append(FormattableString text) => _text.Append(text.ToString(CultureInfo.InvariantCulture));
}
