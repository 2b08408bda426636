// Command soak lets everything that eddy does happen at once, for as long as it
// is told, with every byte verified, and looks afterwards at what is left:
// descriptors, goroutines, mappings, requests, buffers, memory. docs/soak.md says
// how to read what it prints.
//
//	go run ./internal/soak -time 10m
package main
