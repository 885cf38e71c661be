namespace SoftSgx.Kernel;

/// <content>What paging did, in all and for each enclave.</content>
public sealed partial class SgxSubsystem
{
    /// <summary>Reports kept of enclaves that ended; later ones count in the totals only.</summary>
    private const int MaximumReports = 1000;

    private readonly Lock _reportLock = new();
    private readonly List<EnclaveReport> _reports = [];
    private readonly List<Enclave?> _reported = []; // as long as they live
    private PagingCounters _ended;

    /// <summary>What paging did for all enclaves so far.</summary>
    public PagingCounters Counters
    {
        get
        {
            PagingCounters sum;
            lock (_reportLock)
            {
                sum = _ended;
            }

            foreach (Enclave enclave in Enclaves.Snapshot())
            {
                sum.Add(enclave.Counters);
            }

            sum.EpcPages = Pool.Used;
            sum.PeakEpcPages = Pool.PeakUsed;
            return sum;
        }
    }

    /// <summary>The enclaves that were created, ended ones included, in the order of their creation; the first 1,000 of them.</summary>
    public IReadOnlyList<EnclaveReport> Reports
    {
        get
        {
            EnclaveReport[] reports;
            Enclave?[] living;
            lock (_reportLock)
            {
                reports = [.. _reports];
                living = [.. _reported];
            }

            // Not under the lock of the reports: an enclave's own comes first.
            for (int i = 0; i < reports.Length; i++)
            {
                if (living[i] is { IsDead: false } enclave)
                {
                    reports[i] = ReportOf(enclave, i + 1, isEnded: false);
                }
            }

            return reports;
        }
    }

    /// <summary>An enclave was created. Under its lock.</summary>
    /// <returns>The position of its report, −1 if there are too many.</returns>
    internal int OnCreated(Enclave enclave)
    {
        lock (_reportLock)
        {
            if (_reports.Count == MaximumReports)
            {
                return -1;
            }

            _reports.Add(ReportOf(enclave, _reports.Count + 1, isEnded: false));
            _reported.Add(enclave);
            return _reports.Count - 1;
        }
    }

    /// <summary>An enclave ended. Under its lock.</summary>
    internal void OnEnded(Enclave enclave, int report)
    {
        PagingCounters counters = enclave.Counters;
        lock (_reportLock)
        {
            _ended.Add(in counters);
            if (report >= 0)
            {
                _reports[report] = ReportOf(enclave, report + 1, isEnded: true);
                _reported[report] = null;
            }
        }
    }

    private static EnclaveReport ReportOf(Enclave enclave, int number, bool isEnded)
        => new(number, enclave.Base, enclave.Size, enclave.MrEnclave, isEnded, enclave.Counters);
}
