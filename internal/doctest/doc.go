// Package doctest checks that documents about the module tell the truth about
// it. It holds tests only.
package doctest
