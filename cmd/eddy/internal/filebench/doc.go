// Package filebench measures random 4 KiB file operations by eddy against the same by os.File.
//
// Each measurement runs in a process of its own, started by the one that plans them: the threads that a blocking side
// leaves behind, its heap and its warmed-up scheduler must not be counted for the other side. The sides take turns,
// round by round, and what is reported is the median over the rounds, so that a machine that changes its speed
// meanwhile changes it for all.
//
// Every block of a file made by the benchmark carries its own number, and each read checks it: a wrong buffer is an
// error and not a good number.
package filebench
