using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <content>
/// How a debugger reaches the memory of a debug enclave.
/// Behaviour: sgx_vma_access in arch/x86/kernel/cpu/sgx/encl.c.
/// </content>
public sealed partial class Enclave
{
    /// <summary>What EDBGRD and EDBGWR read and write at once, in bytes.</summary>
    private const int DebugUnit = sizeof(ulong);

    /// <summary>
    /// Reads or writes the enclave's memory for a debugger: /proc/PID/mem and ptrace, which find no pages in a mapping of the device and
    /// ask the driver. By EDBGRD and EDBGWR, eight aligned bytes at a time, so neither the mapping's protection nor the EPCM's matters, and
    /// TCS pages can be reached too (of which EDBGWR changes FLAGS alone). Pages that are out are loaded; none is added.
    /// </summary>
    /// <param name="address">First address, any.</param>
    /// <param name="data">The bytes to write, or room for those read. Undefined after a read that fails.</param>
    /// <param name="isWrite">True to write.</param>
    /// <param name="mapping">What the mapping asks through which the debugger looks: no page's maximum may lack any of it.</param>
    /// <returns>
    /// EFAULT: no debug enclave; a part lies in no page, or in one that cannot be loaded or may not be mapped so. EIO: the processor
    /// refuses it (a page that waits for EACCEPT, TCS fields). ENOMEM: the EPC is full and nothing can go. After a failure part of a write
    /// may be done.
    /// </returns>
    public Errno Access(ulong address, Span<byte> data, bool isWrite, PageProtection mapping)
    {
        if (!_created || (Attributes & AttributeFlags.DEBUG) == 0)
        {
            return Errno.EFAULT;
        }

        while (!data.IsEmpty)
        {
            int offset = (int)(address % DebugUnit);
            Span<byte> part = data[..Math.Min(DebugUnit - offset, data.Length)];
            Errno errno = AccessUnit(address - (ulong)offset, offset, part, isWrite, mapping);
            if (errno != Errno.None)
            {
                return errno;
            }

            data = data[part.Length..];
            address = unchecked(address + (ulong)part.Length);
        }

        return Errno.None;
    }

    // Up to eight bytes, from an offset on, at an address that is a multiple of eight.
    private Errno AccessUnit(ulong address, int offset, Span<byte> part, bool isWrite, PageProtection mapping)
    {
        while (true)
        {
            long seen = Subsystem.Reclaimer.Progress;
            lock (Lock)
            {
                FaultOutcome outcome = LoadForDebugger(address, mapping, out int epcPage);
                if (outcome == FaultOutcome.Present)
                {
                    return AccessResident(epcPage, (int)(address % EpcPool.PageSize), offset, part, isWrite);
                }

                if (outcome != FaultOutcome.Retry)
                {
                    return outcome == FaultOutcome.Exhausted ? Errno.ENOMEM : Errno.EFAULT;
                }
            }

            Subsystem.Reclaimer.WaitForProgress(seen, SgxSubsystem.Patience);
        }
    }

    private FaultOutcome LoadForDebugger(ulong address, PageProtection mapping, out int epcPage)
    {
        epcPage = NoPage;
        ulong offset = unchecked(address - Base);
        if (_dead || IsOutOfReach || offset >= Size || !_pages.TryFind(offset / EpcPool.PageSize, out EnclavePage page))
        {
            return FaultOutcome.Absent;
        }

        if ((mapping & PageProtection.Access & ~page.Maximum) != 0)
        {
            return FaultOutcome.Denied;
        }

        FaultOutcome outcome = MakePresent(in page, null);
        _pages.TryFind(offset / EpcPool.PageSize, out page);
        epcPage = page.EpcPage;
        return outcome;
    }

    // A write reads first, also where all eight bytes are replaced, as Linux does.
    private Errno AccessResident(int epcPage, int offsetInPage, int offset, Span<byte> part, bool isWrite)
    {
        if (!Subsystem.Encls.EDbgRd(epcPage, offsetInPage, out ulong unit).IsSuccess)
        {
            return Errno.EIO;
        }

        Span<byte> bytes = MemoryMarshal.AsBytes(new Span<ulong>(ref unit)).Slice(offset, part.Length);
        if (!isWrite)
        {
            bytes.CopyTo(part);
            return Errno.None;
        }

        part.CopyTo(bytes);
        return Subsystem.Encls.EDbgWr(unit, epcPage, offsetInPage).IsSuccess ? Errno.None : Errno.EIO;
    }
}
