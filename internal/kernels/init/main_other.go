//go:build !linux

package main

func main() { panic("the guests run Linux") }
