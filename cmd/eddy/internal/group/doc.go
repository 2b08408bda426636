// Package group keeps the processes of a measurement out of the way of signals that are meant for the one that plans it.
package group
