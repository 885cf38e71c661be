using System.Globalization;
using System.Text;
using SoftSgx.Kernel;

namespace SoftSgx.Simulation;

/// <summary>
/// Runs threads one at a time and decides by a seed, at every scheduling point, which goes on: the same seed gives the same
/// interleaving, so a race that was found once can be replayed and debugged.
/// </summary>
/// <remarks>
/// Threads are real ones that hand a baton on. Only the holder runs, so nothing here needs a lock, and whatever the holder does is
/// ordered by the hand-over. At a scheduling point no lock of the kernel is held; a thread that is stopped there cannot stand in
/// the way of another.
/// </remarks>
public sealed class VirtualScheduler : IKernelScheduler
{
    private const int Remembered = 80;
    private const int MaximumGivenUp = 1000;

    private static readonly TimeSpan s_stuck = TimeSpan.FromSeconds(5);

    [ThreadStatic]
    private static VirtualThread? t_current;

    private readonly ulong _seed;
    private readonly long _maximumSteps;
    private readonly string[] _points = new string[Remembered];
    private readonly TaskCompletionSource _ended = new();
    private SplitMix64 _random;
    private VirtualThread[] _threads = [];
    private VirtualThread[] _candidates = [];
    private ScheduleException? _failure;
    private long _steps;
    private int _givenUp;

    /// <summary>Makes a scheduler for one run.</summary>
    /// <param name="seed">Decides everything.</param>
    /// <param name="maximumSteps">Scheduling points after which the threads are taken to run in circles.</param>
    public VirtualScheduler(ulong seed, long maximumSteps = 200_000)
    {
        _seed = seed;
        _random = new SplitMix64(seed);
        _maximumSteps = maximumSteps;
    }

    /// <summary>The calling thread is a virtual one, of any scheduler.</summary>
    public static bool IsVirtualThread => t_current is not null;

    /// <summary>Scheduling points reached so far.</summary>
    public long Steps => _steps;

    /// <summary>All threads but those that serve others have ended: these end too.</summary>
    public bool IsEnding { get; private set; }

    /// <summary>Runs threads until all have ended.</summary>
    /// <param name="threads">
    /// Name and body of each. A thread whose name starts with "k" serves the others and ends when <see cref="IsEnding"/> says so.
    /// </param>
    /// <exception cref="ScheduleException">A thread threw, nobody could go on, or they ran in circles.</exception>
    public void Run(params (string Name, Action Body)[] threads)
    {
        ArgumentNullException.ThrowIfNull(threads);
        _threads = [.. threads.Select(thread => new VirtualThread(thread.Name, thread.Body))];
        _candidates = new VirtualThread[_threads.Length];
        foreach (VirtualThread thread in _threads)
        {
            thread.Start(this);
        }

        Choose()!.Go.Release();
        long seen = -1;
        while (!_ended.Task.Wait(s_stuck))
        {
            if (seen == Volatile.Read(ref _steps))
            {
                throw new ScheduleException(Describe("a thread waits for something that a stopped thread has"));
            }

            seen = Volatile.Read(ref _steps);
        }

        foreach (VirtualThread thread in _threads)
        {
            thread.Join();
        }

        if (_failure is not null)
        {
            throw _failure;
        }
    }

    /// <inheritdoc/>
    public void Reach(SchedulingPoint point) => Yield(point.ToString());

    /// <summary>A point of the simulated program itself at which others may go on first.</summary>
    /// <param name="point">Its name, for who reads of a failure.</param>
    public void Yield(string point)
    {
        if (t_current is { } self)
        {
            Note(self, point);
            Switch(self);
        }
    }

    /// <inheritdoc/>
    public bool WaitUntil(Func<bool> condition)
    {
        ArgumentNullException.ThrowIfNull(condition);
        if (t_current is not { } self)
        {
            return condition();
        }

        Note(self, "waits");
        self.Condition = condition;
        self.IsGivenUp = false;
        Switch(self);
        self.Condition = null;
        return !self.IsGivenUp;
    }

    private void Note(VirtualThread self, string point)
    {
        _points[_steps % Remembered] = $"{self.Name}: {point}";
        Volatile.Write(ref _steps, _steps + 1);
        if (_steps > _maximumSteps)
        {
            Fail(Describe($"the threads run in circles ({_maximumSteps} points)"), null);
        }
    }

    private void Switch(VirtualThread self)
    {
        VirtualThread? next = Choose();
        if (next == self)
        {
            return;
        }

        next!.Go.Release();
        self.Go.Wait();
        if (_failure is not null)
        {
            throw new ThreadEndsException();
        }
    }

    // Who goes on: one of those that can, or, if nobody can, somebody whose wait is in vain.
    private VirtualThread? Choose()
    {
        int able = 0;
        int alive = 0;
        foreach (VirtualThread thread in _threads)
        {
            if (!thread.HasEnded)
            {
                alive++;
                if (thread.Condition is null || thread.Condition())
                {
                    _candidates[able++] = thread;
                }
            }
        }

        if (able > 0)
        {
            VirtualThread chosen = _candidates[_random.Below(able)];
            _givenUp = chosen.Condition is null ? 0 : _givenUp;
            return chosen;
        }

        if (alive == 0)
        {
            return null;
        }

        if (++_givenUp > MaximumGivenUp)
        {
            Fail(Describe("nobody can go on: a deadlock"), null);
        }

        foreach (VirtualThread thread in _threads)
        {
            if (!thread.HasEnded)
            {
                _candidates[able++] = thread;
            }
        }

        VirtualThread hopeless = _candidates[_random.Below(able)];
        hopeless.IsGivenUp = true;
        return hopeless;
    }

    private void Fail(string what, Exception? cause)
    {
        _failure ??= cause is null ? new ScheduleException(what) : new ScheduleException(what, cause);
        throw new ThreadEndsException();
    }

    private string Describe(string what)
    {
        StringBuilder text = new();
        text.AppendLine(CultureInfo.InvariantCulture, $"seed {_seed}: {what}; the last points:");
        for (long i = Math.Max(0, _steps - Remembered); i < _steps; i++)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"  {i} {_points[i % Remembered]}");
        }

        return text.ToString();
    }

    private void Body(VirtualThread self)
    {
        t_current = self;
        self.Go.Wait();
        try
        {
            if (_failure is null)
            {
                self.Work();
            }
        }
        catch (ThreadEndsException)
        {
            // Another thread failed; this one has nothing to say.
        }
#pragma warning disable CA1031 // Whatever it is, it is what the run is about.
        catch (Exception e)
        {
            _failure ??= new ScheduleException(Describe($"{self.Name} failed: {e.Message}"), e);
        }
#pragma warning restore CA1031

        self.HasEnded = true;
        t_current = null;
        if (!_threads.Any(static thread => !thread.HasEnded && !thread.IsServer))
        {
            IsEnding = true;
        }

        HandOver();
    }

    private void HandOver()
    {
        VirtualThread? next;
        if (_failure is not null)
        {
            next = Array.Find(_threads, static thread => !thread.HasEnded);
        }
        else
        {
            try
            {
                next = Choose();
            }
            catch (ThreadEndsException)
            {
                next = Array.Find(_threads, static thread => !thread.HasEnded);
            }
        }

        if (next is null)
        {
            _ended.SetResult();
        }
        else
        {
            next.Go.Release();
        }
    }

    private sealed class VirtualThread(string name, Action work)
    {
        private const int StackSize = 1 << 20;

        private Thread? _thread;

        public string Name { get; } = name;

        public bool IsServer { get; } = name.StartsWith('k');

        public Action Work { get; } = work;

        public SemaphoreSlim Go { get; } = new(0);

        public Func<bool>? Condition { get; set; }

        public bool IsGivenUp { get; set; }

        public bool HasEnded { get; set; }

        public void Start(VirtualScheduler scheduler)
        {
            _thread = new Thread(() => scheduler.Body(this), StackSize) { IsBackground = true };
            _thread.Start();
        }

        public void Join() => _thread!.Join();
    }

#pragma warning disable CA1064, CA1032 // Never leaves this class: it unwinds a thread that is not to go on.
    private sealed class ThreadEndsException : Exception;
#pragma warning restore CA1064, CA1032
}
