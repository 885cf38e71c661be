namespace SoftSgx.Kernel;

/// <summary>The open files of the process that makes a call.</summary>
public interface IFileTable
{
    /// <summary>Tells whether a file descriptor is an opener of the provisioning device.</summary>
    /// <param name="fd">The descriptor as the program gave it, cut to 32 bits; any value.</param>
    /// <returns><see langword="false"/> if it is another file or not open.</returns>
    public bool IsProvisionDevice(int fd);
}
