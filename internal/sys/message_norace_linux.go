//go:build !race

package sys

const racing = false

func kernelWrote([]byte) {}

func kernelReads([]byte) {}
