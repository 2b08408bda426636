// Package copytree copies files and directory trees through an eddy driver, with many reads and writes in flight over
// all files at once and a bounded amount of memory.
//
// What a reader of the destination can rely on: a file appears under its real name only when it is complete. Until
// then it lives beside it as ".name.eddy-XXXXXXXX", which is removed on every error and on every interruption (only a
// crash or SIGKILL can leave one behind). The directory must therefore take new entries, even where an existing file is
// replaced.
//
// What is kept: contents, holes, symbolic links as links, and by default permission bits and modification times. What
// is not: owners (and therefore set-uid and set-gid bits), extended attributes, and hard links between the files
// of a tree, which become separate files.
//
// A source that is being written to is copied as long as it was when it was opened: bytes appended later are left
// out, and one that becomes shorter is an error. Files that have no size, as those of /proc, are read to their end.
//
// Of sources with the same names below them that are copied to the same place ("a/. b/."), the last one wins, files and
// directories' modes alike. A directory that exists keeps its set-gid and sticky bits, and all of its mode unless modes
// are kept.
package copytree
