package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// byteSize writes n with a binary unit.
func byteSize(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return count(int(n), "byte")
	}
	v, unit := float64(n)/1024, 0
	for v >= 1024 && unit < len(units)-1 {
		v, unit = v/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[unit])
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// wrap breaks text between words into lines of at most width bytes.
func wrap(text string, width int) string {
	var s strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case column+1+len(word) > width:
			s.WriteByte('\n')
			column = 0
		default:
			s.WriteByte(' ')
			column++
		}
		s.WriteString(word)
		column += len(word)
	}
	return s.String()
}

// writeJSON writes v indented, for people who look at it.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
