using System.Runtime.CompilerServices;

namespace SoftSgx.Architecture;

#pragma warning disable IDE0044, IDE0051, CA1823, CS0169 // An inline array consists of its one private field.

/// <summary>1 reserved byte.</summary>
[InlineArray(1)]
public struct Reserved1 { private byte _first; }

/// <summary>2 reserved bytes.</summary>
[InlineArray(2)]
public struct Reserved2 { private byte _first; }

/// <summary>3 reserved bytes.</summary>
[InlineArray(3)]
public struct Reserved3 { private byte _first; }

/// <summary>4 reserved bytes.</summary>
[InlineArray(4)]
public struct Reserved4 { private byte _first; }

/// <summary>8 reserved bytes.</summary>
[InlineArray(8)]
public struct Reserved8 { private byte _first; }

/// <summary>11 reserved bytes.</summary>
[InlineArray(11)]
public struct Reserved11 { private byte _first; }

/// <summary>12 reserved bytes.</summary>
[InlineArray(12)]
public struct Reserved12 { private byte _first; }

/// <summary>15 reserved bytes.</summary>
[InlineArray(15)]
public struct Reserved15 { private byte _first; }

/// <summary>16 reserved bytes.</summary>
[InlineArray(16)]
public struct Reserved16 { private byte _first; }

/// <summary>24 reserved bytes.</summary>
[InlineArray(24)]
public struct Reserved24 { private byte _first; }

/// <summary>32 reserved bytes.</summary>
[InlineArray(32)]
public struct Reserved32 { private byte _first; }

/// <summary>40 reserved bytes.</summary>
[InlineArray(40)]
public struct Reserved40 { private byte _first; }

/// <summary>42 reserved bytes.</summary>
[InlineArray(42)]
public struct Reserved42 { private byte _first; }

/// <summary>44 reserved bytes.</summary>
[InlineArray(44)]
public struct Reserved44 { private byte _first; }

/// <summary>56 reserved bytes.</summary>
[InlineArray(56)]
public struct Reserved56 { private byte _first; }

/// <summary>84 reserved bytes.</summary>
[InlineArray(84)]
public struct Reserved84 { private byte _first; }

/// <summary>384 reserved bytes.</summary>
[InlineArray(384)]
public struct Reserved384 { private byte _first; }

/// <summary>434 reserved bytes.</summary>
[InlineArray(434)]
public struct Reserved434 { private byte _first; }

/// <summary>3,834 reserved bytes.</summary>
[InlineArray(3834)]
public struct Reserved3834 { private byte _first; }

/// <summary>4,008 reserved bytes.</summary>
[InlineArray(4008)]
public struct Reserved4008 { private byte _first; }
