using System.Numerics;
using System.Runtime.CompilerServices;
using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>
/// The pages of one enclave by their index (offset from the base / 4096). The counterpart of the kernel's page_array.
/// </summary>
/// <remarks>
/// <para>
/// A radix tree of 64-way nodes that grows upwards with the largest index in use, so its cost follows the pages that exist and
/// never the size that an enclave declares:
/// </para>
/// <code>
///   index bits   … 17:12        11:6          5:0
///                inner node  →  inner node →  leaf: 64 places, 64 attribute words, one bitmap
/// </code>
/// <para>
/// A place is the number of an EPC page, or the complement of a version-array slot for a page that is swapped out.
/// A leaf of dense pages costs about 7 bytes a page; a lone page in a sparse enclave of 2^40 bytes costs less than 3 KiB.
/// Every node has a bitmap of its occupied slots and an empty node is dropped, so walking costs nothing for holes.
/// </para>
/// <para>Not thread-safe: the enclave's lock guards it.</para>
/// </remarks>
internal sealed class PageMap
{
    /// <summary>What <see cref="Cursor.Next"/> answers when no page follows.</summary>
    public const ulong None = ulong.MaxValue;

    private const int Bits = 6;
    private const int FanOut = 1 << Bits;
    // Attributes: bits 2:0 maximum protection, 5:3 page type, 6 being reclaimed, 9:7 permissions of a page that is
    // swapped out, 10 lost, 11 private, 12 augmented.
    private const int TypeShift = 3;
    private const int TypeMask = 7;
    private const ushort BeingReclaimed = 1 << 6;
    private const int SavedShift = 7;
    private const ushort Lost = 1 << 10;
    private const ushort Private = 1 << 11;
    private const ushort Augmented = 1 << 12;
    private const ushort WriteExecute = (ushort)(PageProtection.Write | PageProtection.Execute);

    private Node? _root;
    private int _height; // levels of inner nodes above the leaves

    /// <summary>Number of pages.</summary>
    public int Count { get; private set; }

    /// <summary>Number of pages that came by EAUG.</summary>
    public int AugmentedCount { get; private set; }

    /// <summary>Number of pages that may be mapped writable and executable.</summary>
    public int WriteExecuteCount { get; private set; }

    /// <summary>Looks a page up.</summary>
    /// <param name="index">Page index.</param>
    /// <param name="page">The page.</param>
    /// <returns><see langword="false"/> if it does not exist.</returns>
    public bool TryFind(ulong index, out EnclavePage page)
    {
        Leaf? leaf = FindLeaf(index);
        int slot = Slot(index, 0);
        if (leaf is null || !leaf.IsOccupied(slot))
        {
            page = default;
            return false;
        }

        page = leaf.PageAt(index, slot);
        return true;
    }

    /// <summary>Adds a page.</summary>
    /// <param name="page">The page; its offset is a multiple of 4096.</param>
    /// <returns><see langword="false"/> if there is one at this offset already.</returns>
    public bool TryAdd(in EnclavePage page)
    {
        ulong index = page.Offset / EpcPool.PageSize;
        _root ??= new Leaf();
        while (!Covers(index))
        {
            _root = Count == 0 ? new Inner() : new Inner(_root);
            _height++;
        }

        Node node = _root;
        for (int level = _height; level > 0; level--)
        {
            var inner = (Inner)node;
            int child = Slot(index, level);
            node = inner.Children[child] ??= level == 1 ? new Leaf() : new Inner();
            inner.Occupied |= 1UL << child;
        }

        var leaf = (Leaf)node;
        int slot = Slot(index, 0);
        if (leaf.IsOccupied(slot))
        {
            return false;
        }

        leaf.Occupied |= 1UL << slot;
        leaf.Set(slot, in page);
        CountIn(leaf, slot, 1);
        return true;
    }

    /// <summary>Changes the state of a page that exists.</summary>
    /// <param name="page">The page as it is from now on.</param>
    /// <exception cref="InvalidOperationException">There is no page at this offset: a bug of the caller.</exception>
    public void Update(in EnclavePage page)
    {
        ulong index = page.Offset / EpcPool.PageSize;
        Leaf? leaf = FindLeaf(index);
        int slot = Slot(index, 0);
        if (leaf is null || !leaf.IsOccupied(slot))
        {
            throw new InvalidOperationException($"The enclave has no page at offset 0x{page.Offset:x}.");
        }

        CountIn(leaf, slot, -1);
        leaf.Set(slot, in page);
        CountIn(leaf, slot, 1);
    }

    /// <summary>Removes a page and the nodes that it leaves empty.</summary>
    /// <param name="index">Page index.</param>
    /// <returns><see langword="false"/> if it does not exist.</returns>
    public bool Remove(ulong index)
    {
        if (_root is null || !Covers(index) || !Remove(_root, _height, index))
        {
            return false;
        }

        if (_root.Occupied == 0)
        {
            _root = null;
            _height = 0;
        }

        return true;
    }

    /// <summary>Starts a walk over the pages in the order of their indexes.</summary>
    /// <returns>A cursor. Removing pages that it has passed is allowed; adding pages ends its life.</returns>
    public Cursor Walk() => new(this);

    /// <summary>A walk over the pages that looks at the tree once a leaf.</summary>
    public struct Cursor
    {
        private readonly PageMap _map;
        private Leaf? _leaf;
        private ulong _leafIndex;

        internal Cursor(PageMap map) => _map = map;

        /// <summary>Finds the first page at or behind an index.</summary>
        /// <param name="index">Page index to start from.</param>
        /// <param name="page">The page.</param>
        /// <returns>Its index, or <see cref="None"/>.</returns>
        public ulong Next(ulong index, out EnclavePage page)
        {
            ulong found = _leaf is not null && index >> Bits == _leafIndex ? NextIn(_leaf, index) : None;
            if (found == None)
            {
                _leaf = null;
                if (_map._root is not null && _map.Covers(index))
                {
                    found = PageMap.Next(_map._root, _map._height, index, out _leaf);
                }

                if (_leaf is null)
                {
                    page = default;
                    return None;
                }

                _leafIndex = found >> Bits;
            }

            page = _leaf!.PageAt(found, Slot(found, 0));
            return found;
        }

        private static ulong NextIn(Leaf leaf, ulong index)
        {
            ulong rest = leaf.Occupied & (ulong.MaxValue << Slot(index, 0));
            return rest == 0 ? None : index >> Bits << Bits | (uint)BitOperations.TrailingZeroCount(rest);
        }
    }

    private static int Slot(ulong index, int level) => (int)(index >> (level * Bits)) & (FanOut - 1);

    private bool Covers(ulong index)
    {
        int bits = (_height + 1) * Bits;
        return bits >= 64 || index >> bits == 0;
    }

    private Leaf? FindLeaf(ulong index)
    {
        if (_root is null || !Covers(index))
        {
            return null;
        }

        Node? node = _root;
        for (int level = _height; level > 0 && node is not null; level--)
        {
            node = ((Inner)node).Children[Slot(index, level)];
        }

        return (Leaf?)node;
    }

    private void CountIn(Leaf leaf, int slot, int difference)
    {
        Count += difference;
        AugmentedCount += leaf.IsAugmented(slot) ? difference : 0;
        WriteExecuteCount += leaf.IsWriteExecute(slot) ? difference : 0;
    }

    private bool Remove(Node node, int level, ulong index)
    {
        int slot = Slot(index, level);
        if (level == 0)
        {
            bool existed = node.IsOccupied(slot);
            if (existed)
            {
                CountIn((Leaf)node, slot, -1);
            }

            node.Occupied &= ~(1UL << slot);
            return existed;
        }

        ref Node? child = ref ((Inner)node).Children[slot];
        if (child is null || !Remove(child, level - 1, index))
        {
            return false;
        }

        if (child.Occupied == 0)
        {
            child = null;
            node.Occupied &= ~(1UL << slot);
        }

        return true;
    }

    // Finds the first occupied index >= index below this node. The slot of index itself is searched from index on; every
    // later slot from its beginning, where the first child is bound to have a page, since no node is empty.
    private static ulong Next(Node node, int level, ulong index, out Leaf? leaf)
    {
        int slot = Slot(index, level);
        ulong rest = node.Occupied & (ulong.MaxValue << slot);
        while (rest != 0)
        {
            int next = BitOperations.TrailingZeroCount(rest);
            ulong from = next == slot ? index : Advance(index, level, next);
            if (level == 0)
            {
                leaf = (Leaf)node;
                return from;
            }

            ulong found = Next(((Inner)node).Children[next]!, level - 1, from, out leaf);
            if (leaf is not null)
            {
                return found;
            }

            rest &= rest - 1;
        }

        leaf = null;
        return None;
    }

    // The first index below the given slot of the node that index lies in.
    private static ulong Advance(ulong index, int level, int slot)
    {
        int shift = level * Bits;
        ulong above = shift + Bits >= 64 ? 0 : index >> (shift + Bits) << (shift + Bits);
        return above | ((ulong)slot << shift);
    }

    private abstract class Node
    {
        public ulong Occupied;

        public bool IsOccupied(int slot) => (Occupied >> slot & 1) != 0;
    }

    private sealed class Inner : Node
    {
        public NodeSlots Children;

        public Inner()
        {
        }

        public Inner(Node first)
        {
            Children[0] = first;
            Occupied = 1;
        }
    }

    private sealed class Leaf : Node
    {
        private PlaceSlots _places;
        private AttributeSlots _attributes;

        public bool IsAugmented(int slot) => (_attributes[slot] & Augmented) != 0;

        public bool IsWriteExecute(int slot) => (_attributes[slot] & WriteExecute) == WriteExecute;

        public EnclavePage PageAt(ulong index, int slot)
        {
            int place = _places[slot];
            int attributes = _attributes[slot];
            return new EnclavePage(
                index * EpcPool.PageSize,
                place >= 0 ? place : -1,
                (PageType)((attributes >> TypeShift) & TypeMask),
                (PageProtection)attributes & PageProtection.Access)
            {
                IsBeingReclaimed = (attributes & BeingReclaimed) != 0,
                IsLost = (attributes & Lost) != 0,
                IsPrivate = (attributes & Private) != 0,
                IsAugmented = (attributes & Augmented) != 0,
                Slot = place >= 0 ? -1 : ~place,
                SavedPermissions = (PageProtection)(attributes >> SavedShift) & PageProtection.Access,
            };
        }

        public void Set(int slot, in EnclavePage page)
        {
            _places[slot] = page.IsResident ? page.EpcPage : ~page.Slot;
            _attributes[slot] = (ushort)((int)page.Maximum
                | ((int)page.Type << TypeShift)
                | (page.IsBeingReclaimed ? BeingReclaimed : 0)
                | (page.IsLost ? Lost : 0)
                | (page.IsPrivate ? Private : 0)
                | (page.IsAugmented ? Augmented : 0)
                | ((int)page.SavedPermissions << SavedShift));
        }
    }

    [InlineArray(FanOut)]
    private struct NodeSlots
    {
        private Node? _first;
    }

    [InlineArray(FanOut)]
    private struct PlaceSlots
    {
        private int _first;
    }

    [InlineArray(FanOut)]
    private struct AttributeSlots
    {
        private ushort _first;
    }
}
