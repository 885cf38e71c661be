namespace SoftSgx.Kernel;

/// <summary>A doubly linked list of EPC pages, which pages can leave from anywhere.</summary>
/// <param name="links">The links that all lists share.</param>
internal sealed class EpcPageList(EpcPageLinks links)
{
    private int _head = EpcPageLinks.None;
    private int _tail = EpcPageLinks.None;

    /// <summary>Number of pages.</summary>
    public int Count { get; private set; }

    /// <summary>Adds a page that is on no list behind the last one.</summary>
    public void Append(int page)
    {
        links.Next[page] = EpcPageLinks.None;
        links.Previous[page] = _tail;
        if (_tail == EpcPageLinks.None)
        {
            _head = page;
        }
        else
        {
            links.Next[_tail] = page;
        }

        _tail = page;
        Count++;
    }

    /// <summary>Takes the first page off the list.</summary>
    /// <returns>The page, or −1 if the list is empty.</returns>
    public int TakeFirst()
    {
        int page = _head;
        if (page != EpcPageLinks.None)
        {
            Remove(page);
        }

        return page;
    }

    /// <summary>Takes a page of this list off it.</summary>
    public void Remove(int page)
    {
        int next = links.Next[page];
        int previous = links.Previous[page];
        if (previous == EpcPageLinks.None)
        {
            _head = next;
        }
        else
        {
            links.Next[previous] = next;
        }

        if (next == EpcPageLinks.None)
        {
            _tail = previous;
        }
        else
        {
            links.Previous[next] = previous;
        }

        links.Previous[page] = EpcPageLinks.Unlisted;
        Count--;
    }
}
