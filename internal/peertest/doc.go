// Package peertest is tests of sockets against programs and libraries that know
// nothing of eddy: net/http, WebSocket, gRPC, Redis, curl, h2load, wrk, and
// package nettest's suite. It is a module of its own, so that what they need is
// no dependency of eddy's.
package peertest
