namespace SoftSgx.Host.Tests.Fuzz.Model;

/// <summary>
/// Predicts the outcome of each call of a sequence, as Linux on a processor with SGX2 answers it; what SoftSGX does otherwise is
/// in <see cref="Limits"/> alone. Written from the rules, not from the code under test.
/// </summary>
/// <remarks>
/// One file for each concept: opening and closing here, building an enclave, its pages while it runs, mappings, accesses, entries.
/// </remarks>
internal sealed partial class InterfaceModel
{
    internal const string Ok = "ok";

    private readonly Stack<ProcessState> _parents = new();

    /// <summary>The process that makes the calls.</summary>
    internal ProcessState Process { get; private set; } = new();

    /// <summary>In a child.</summary>
    internal bool IsForked => _parents.Count > 0;

    /// <summary>
    /// The outcome of a call, which takes effect; in it, <c>*</c> stands for a word that may be anything. Null if the model cannot tell,
    /// after which it knows nothing any more: the sequence ends before this call.
    /// </summary>
    internal string? Predict(Call call)
    {
        switch (call.Name)
        {
            case "open":
                return Open(call);
            case "close":
                return Close(call[0]);
            case "dup":
                return Duplicate(call);
            case "fork":
                _parents.Push(Process);
                Process = Process.Fork();
                return "";
            case "exit":
                Process = _parents.Pop();
                return "0";
            case "sig":
                _signature = call.Bytes;
                return "";
            case "mmap":
                return Map(call);
            case "munmap":
                return Unmap(call);
            case "mprotect":
                return Protect(call);
            case "read" or "write":
                return Touch(call[0], call.Name == "write");
            case "enter":
                return Enter(call);
            default:
                return Ioctl(call);
        }
    }

    private string Open(Call call)
    {
        const ulong O_DIRECTORY = 0x10000, O_PATH = 0x200000, O_CREAT_EXCL = 0xc0;
        DevicePath path = (DevicePath)call[1];
        Process.Slots[call[0]] = null; // the program closes what was there
        if (path == DevicePath.AsDirectory || (call[2] & O_DIRECTORY) != 0)
        {
            return "ENOTDIR";
        }
        if ((call[2] & O_CREAT_EXCL) == O_CREAT_EXCL)
        {
            return "EEXIST";
        }
        EnclaveState? enclave = path is DevicePath.Provision or DevicePath.ProvisionV22
            ? null
            : new EnclaveState { IsV22 = path == DevicePath.EnclaveV22 };
        Process.Slots[call[0]] = new OpenFile(enclave, (call[2] & O_PATH) != 0);
        return Ok;
    }

    private string Close(ulong slot)
    {
        bool isOpen = Process.Slots[slot] is not null;
        Process.Slots[slot] = null;
        return isOpen ? Ok : "EBADF";
    }

    private string Duplicate(Call call)
    {
        OpenFile? file = Process.Slots[call[0]];
        Process.Slots[call[1]] = file;
        return file is null ? "EBADF" : Ok;
    }

    private string? Ioctl(Call call)
    {
        OpenFile? file = Process.Slots[call[0]];
        string? errno = file is null or { IsPathOnly: true } ? "EBADF" : file.Enclave is null ? "ENOTTY" : null;
        EnclaveState enclave = file?.Enclave!;
        switch (call.Name)
        {
            case "create":
                return errno ?? Create(enclave, call);
            case "add":
                ulong added = 0;
                return (errno ?? Add(enclave, call, out added)) + Count(added);
            case "addpage":
                return errno ?? AddPage(enclave, call);
            case "init":
                return errno ?? Init(enclave, call);
            case "provision":
                return errno ?? Provision(enclave, call);
            case "restrict" or "modify" or "remove":
                ulong done = call.Name == "remove" ? call[4] : call[6], result = call.Name == "remove" ? 0 : call[5];
                string outcome = errno ?? Dynamic(enclave, call, ref done, ref result);
                return outcome + Count(done) + $" result={result:x}";
            default:
                return errno ?? "ENOTTY";
        }
    }

    /// <summary>The process that makes the calls changed an enclave's state.</summary>
    private void Changed(EnclaveState enclave)
    {
        foreach (ProcessState parent in _parents)
        {
            parent.LoseStep(enclave);
        }
    }

    private static string Count(ulong bytes) => $" count={bytes:x}";
}
