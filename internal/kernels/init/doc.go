// Command init is the first and, but for the tests, only program of a guest. It
// makes the machine fit for tests, runs them as the plan says, and switches the
// machine off.
package main
