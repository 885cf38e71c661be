using System.Text;
using SoftSgx.Kernel;

namespace SoftSgx.Host.Statistics;

/// <summary>
/// Writes audit lines to standard error or to the end of a file, each in one call so that lines of several runs do not mix.
/// </summary>
public sealed class AuditLog : IAuditLog, IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly FileStream? _file;
    private bool _hasFailed;

    /// <summary>To standard error.</summary>
    public AuditLog()
    {
    }

    /// <summary>To the end of a file, which is made if it is not there.</summary>
    /// <param name="name">Its name.</param>
    /// <exception cref="HostException">It cannot be written.</exception>
    public AuditLog(string name)
    {
        try
        {
            _file = new FileStream(name, new FileStreamOptions
            {
                Mode = FileMode.Append,
                Access = FileAccess.Write,
                Share = FileShare.ReadWrite | FileShare.Delete,
                BufferSize = 0,
                UnixCreateMode = OwnerOnly,
            });
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new HostException(
                $"--audit cannot write '{name}' ({e.Message}): give a file that you may write, or leave it out for standard error");
        }
    }

    /// <inheritdoc/>
    public void Write(string line)
    {
        if (_file is null || _hasFailed)
        {
            StandardError.Write(line);
            return;
        }
        try
        {
            _file.Write(Encoding.UTF8.GetBytes(line));
        }
        catch (IOException e)
        {
            // A denial must not get lost for want of space: it goes where somebody may see it.
            _hasFailed = true;
            StandardError.Write($"softsgx: the audit file cannot be written ({e.Message}); audit lines follow here\n{line}");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file?.Dispose();
}
