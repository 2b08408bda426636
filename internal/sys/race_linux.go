package sys

// KernelWrote tells the race detector that the kernel has written p, for a
// caller that was waiting for it. Without -race it does nothing, and is inlined.
func KernelWrote(p []byte) { kernelWrote(p) }

// KernelReads tells the race detector that the kernel is about to read p.
func KernelReads(p []byte) { kernelReads(p) }
