package kernels

import "strings"

// Prefix begins the lines of the init program's on a guest's console, which
// carries lines of the kernel's too. A word and a space follow:
//
//	eddy> fact NAME TEXT       something found out about the guest
//	eddy> list SUITE TEST      a test that the suite has, run or not
//	eddy> begin SUITE          a test binary is started
//	eddy> | TEXT               a line that it wrote
//	eddy> end SUITE STATUS     it ended; "ok", or what went wrong
//	eddy> again SUITE TEST     it is started once more, for a test that failed
//	eddy> kernel TEXT          a warning that the kernel logged
//	eddy> fail TEXT            the init program itself cannot go on
//	eddy> done                 all was run; nothing follows
//
// A boot without the last line did not finish.
const Prefix = "eddy> "

// The words.
const (
	WordFact   = "fact"
	WordList   = "list"
	WordBegin  = "begin"
	WordAgain  = "again"
	WordOutput = "|"
	WordEnd    = "end"
	WordKernel = "kernel"
	WordFail   = "fail"
	WordDone   = "done"
)

// cutLine splits a line of the console; ok is false for the kernel's own.
func cutLine(line string) (word, rest string, ok bool) {
	// The kernel may have written the beginning of a line before it.
	_, line, ok = strings.Cut(line, Prefix)
	if !ok {
		return "", "", false
	}
	word, rest, _ = strings.Cut(line, " ")
	return word, rest, true
}
