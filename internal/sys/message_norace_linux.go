//go:build !race

package sys

const racing = false

func kernelWrote([]byte) {}

func kernelReads([]byte) {}

func received(int, []byte) {}

func sends([]byte) {}
