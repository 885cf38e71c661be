using System.Runtime.InteropServices;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Supervision;

/// <summary>A piece of a program's memory: <c>struct iovec</c> as a program fills it in.</summary>
/// <param name="Base">First address, any.</param>
/// <param name="Length">Length in bytes.</param>
internal readonly record struct UserPiece(ulong Base, ulong Length);

/// <summary>Reads the vectors of readv(2) and the like.</summary>
internal static class UserVector
{
    /// <summary>
    /// Copies a vector out of a program; null if it is one that the kernel refuses, or has nothing to do for (lib/iov_iter.c: too many
    /// pieces, a length or an end that is no address of a program).
    /// </summary>
    /// <param name="space">The program's memory.</param>
    /// <param name="address">Address of the vector.</param>
    /// <param name="count">How many pieces.</param>
    /// <param name="isLocal">False for pieces of another process's memory, whose addresses are not looked at.</param>
    internal static UserPiece[]? Read(AddressSpace space, ulong address, ulong count, bool isLocal = true)
    {
        if (count is 0 or > UIO_MAXIOV)
        {
            return null;
        }
        UserPiece[] pieces = new UserPiece[count];
        if (!space.TryRead(address, MemoryMarshal.AsBytes(pieces.AsSpan())))
        {
            return null;
        }
        foreach (UserPiece piece in pieces)
        {
            if ((long)piece.Length < 0 || (isLocal && !IsUserRange(piece)))
            {
                return null;
            }
        }
        return pieces;
    }

    /// <summary>True if a piece lies where programs have memory.</summary>
    internal static bool IsUserRange(UserPiece piece) => piece.Length <= TASK_SIZE && piece.Base <= TASK_SIZE - piece.Length;
}
