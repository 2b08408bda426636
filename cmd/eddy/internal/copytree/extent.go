package copytree

// extent is a part of a file that holds data, in bytes; end is the first byte after it.
type extent struct{ start, end int64 }
