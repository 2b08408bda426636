// Package webserver serves the files under one directory over HTTP on eddy's sockets, with an access log and metrics.
package webserver
