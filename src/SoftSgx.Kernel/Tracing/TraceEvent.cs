using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel.Tracing;

/// <summary>Something that happened: a name, named values, and how it ended.</summary>
/// <param name="kind">The kind, one bit.</param>
/// <param name="name">Native name: of the system call, the leaf, the exception.</param>
public sealed class TraceEvent(TraceKinds kind, string name)
{
    private readonly List<TraceField> _fields = [];

    /// <summary>The kind.</summary>
    public TraceKinds Kind { get; } = kind;

    /// <summary>Native name.</summary>
    public string Name { get; } = name;

    /// <summary>When it happened, UTC; <see langword="null"/> if that is when it is taken.</summary>
    public DateTime? Time { get; set; }

    /// <summary>For whom it happened, as <see cref="TraceActor.Name"/> has it; <see langword="null"/> for the actor of the calling thread.</summary>
    public string? Thread { get; init; }

    /// <summary>The values, in the order in which people expect them.</summary>
    public IReadOnlyList<TraceField> Fields => _fields;

    /// <summary>What fields that are added from now on are part of.</summary>
    public TracePart Part { get; set; } = TracePart.Member;

    /// <summary>What was returned; <see langword="null"/> where nothing is, or nothing was because of a fault.</summary>
    public long? Returned { get; private set; }

    /// <summary>What was returned is an address.</summary>
    public bool ReturnsAddress { get; init; }

    /// <summary>Name of the error or of the exception; <see langword="null"/> after success.</summary>
    public string? Error { get; private set; }

    /// <summary>Adds a number.</summary>
    public TraceEvent Add(string name, ulong value, TraceFormat format = TraceFormat.Hex)
        => Add(new TraceField(Part, name, format, value, null, null));

    /// <summary>Adds a number that people count with.</summary>
    public TraceEvent Add(string name, long value)
        => Add(new TraceField(Part, name, TraceFormat.Decimal, (ulong)value, null, null));

    /// <summary>Adds names.</summary>
    public TraceEvent Add(string name, string text, TraceFormat format = TraceFormat.Name)
        => Add(new TraceField(Part, name, format, 0, text, null));

    /// <summary>Adds a linear address.</summary>
    /// <param name="name">The field's name.</param>
    /// <param name="address">The address.</param>
    /// <param name="enclave">An enclave that it may lie in.</param>
    /// <returns>This event.</returns>
    public TraceEvent Add(string name, ulong address, Enclave? enclave)
        => Add(name, address, enclave is { IsCreated: true } ? enclave.Base : 0, enclave is { IsCreated: true } ? enclave.Size : 0);

    /// <summary>Adds a linear address.</summary>
    /// <param name="name">The field's name.</param>
    /// <param name="address">The address.</param>
    /// <param name="enclaveBase">Where an enclave begins that it may lie in.</param>
    /// <param name="enclaveSize">The size of that enclave in bytes.</param>
    /// <returns>This event.</returns>
    public TraceEvent Add(string name, ulong address, ulong enclaveBase, ulong enclaveSize)
    {
        ulong offset = unchecked(address - enclaveBase);
        return Add(new TraceField(Part, name, TraceFormat.Address, address, null, offset < enclaveSize ? offset : null));
    }

    /// <summary>It returned a value, and an error's name if that is what the value means.</summary>
    public TraceEvent Return(long value, string? error = null)
    {
        Part = TracePart.Result;
        (Returned, Error) = (value, error);
        return this;
    }

    /// <summary>A leaf ended: its error code, or the exception with error code and address.</summary>
    public TraceEvent Return(in LeafResult result, Enclave? enclave = null)
    {
        Part = TracePart.Result;
        if (result.Status != LeafStatus.Fault)
        {
            return Return((long)result.Error, result.Status == LeafStatus.Error ? TraceNames.Of(result.Error) : null);
        }

        Error = TraceNames.OfVector(result.Fault.Vector);
        return Add(result.Fault, enclave);
    }

    /// <summary>Adds error code and address of an exception, where its vector has them.</summary>
    public TraceEvent Add(Fault fault, Enclave? enclave)
    {
        switch (fault.Kind)
        {
            case ExceptionVector.PF:
                return Add("errorCode", TraceNames.Of((PageFaultError)fault.ErrorCode)).Add("address", fault.Address, enclave);
            case ExceptionVector.GP or ExceptionVector.SS or ExceptionVector.NP or ExceptionVector.CP:
                return Add("errorCode", (ulong)fault.ErrorCode);
            default:
                return this;
        }
    }

    private TraceEvent Add(TraceField field)
    {
        _fields.Add(field);
        return this;
    }
}
