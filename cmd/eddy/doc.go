// Command eddy shows what the eddy driver can do on this machine, and moves real data with it: probe, serve,
// echo, cp, bench.
//
// Exit codes: 0 all went well, 1 something failed, 2 the command line was wrong, 130 interrupted by SIGINT, 143 ended
// by SIGTERM (128 and the signal's number).
package main
