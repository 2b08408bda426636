// Package echobench measures a server on eddy's sockets against the same server on package net.
//
// Each measurement takes two new processes: the server, which knows nothing of being measured but that it is asked for
// its processor time now and then, and the load generator, one thread that drives all connections with epoll and makes
// no garbage, so that it costs as little as it can on a machine that both share. The sides take turns, round by round,
// and what is reported is the median over the rounds.
//
// Every request carries a number and every reply is checked for it: a fast wrong echo is an error and not a good
// number.
package echobench
