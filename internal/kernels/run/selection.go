package main

import "strings"

// small are the packages beside the driver's that take no time at all.
var small = []string{"doctest", "leaktest", "seccomptest", "slab", "sys"}

// telling are the tests of package eddy that are run in guests: all of them
// would take an emulated processor ten minutes. What they have in common is that
// the kernel has a say in them. They are prefixes of names.
var telling = prefixes(
	// Files.
	"MissingFileIsNotErrNotExist", "BatchWithBadReadsLosesTheGoodOnes", "CloseUnderReadsGivesThemAnotherFilesBytes",
	"DescriptorIsClosedUnderItsUsers", "CloseLeavesFIFOReadersHanging", "PastDeadlineIsIgnoredByDiskFiles",
	"ContextAndDeadlineAreConfused", "FileDiffersFromOSFile", "ClosedFileDiffersFromOSFile", "FileBreaksTheRulesOf",
	"WriteFileDiffersFromOS", "DirectFileHasWrongContent", "BufferOfALostRequestIsLentAgain", "OpenOfAFifoNobodyWritesTo",
	"AnswerThatOnlyARingGivesReachesTheCaller",
	// Connections and datagrams.
	"EndOfStreamIsNotBareEOF", "PastDeadlineIsIgnored", "AcceptIgnoresDeadline",
	"CloseLeavesSomebodyInAccept", "ContextDoesNotEndRead", "CopyOfOddFileSendsOtherBytes",
	"DatagramsArriveOtherThanWithStd", "CutDatagramsArriveAsOne",
	// Registration.
	"PipeWakesNobody", "FullSocketIsWritable", "EventfdAndTimerfdAreNotSeen", "ClearReadyLosesNews",
	"TryIOWaitsOrCallsInVain", "DeregisterLeavesWaitersHanging", "ContextLeavesReadyHanging",
	"UnpollableDescriptorIsRegistered", "RegisterMakesADescriptorNonBlocking",
	// Signals.
	"UncatchableSignalIsAccepted", "Signal", "PendingSignalCountsTwice", "RecvHangsAtTheEnd", "DefaultActionStaysAway",
	// Fallback, status, privileges.
	"StatusTellsAnotherStory", "ForcedOffHasNoReason", "MetricsMissOperations", "Switch", "RingIsMadeAfterItWasSwitchedOff",
	"RequestPendingAtTheSwitchIsLost", "SandboxWithoutRingBreaksFiles", "NewLeaksWhenDescriptorsRunOut",
	"ProgramInheritsDescriptors", "ForkedChildSharesRings", "ThreadOpensWithTheCredentialsOfOthers",
	// Shutdown.
	"DriverWorksAfterShutdown", "Shutdown", "ConcurrentShutdownsDisagree", "DefaultStaysDeadAfterShutdown",
	"ConcurrentDefaultMakesTwo", "DefaultFails",
)

// frugal are those that fit into a small machine.
var frugal = prefixes(
	"CloseUnder", "CloseLeavesFIFO", "CloseReports", "ClosedFile", "Default", "File", "Metrics",
	"ShutdownDuring", "ShutdownForgets", "ShutdownWith", "Signal", "Status", "Switch", "WriteFile", "ContextDoesNotEndRead",
	"PipeWakesNobody", "AnswerThatOnlyARingGivesReachesTheCaller", "SandboxWithoutRingBreaksFiles",
)

// prefixes is the pattern of the tests whose names begin so.
func prefixes(names ...string) string { return "^Test(" + strings.Join(names, "|") + ")" }

// tooLong is why tests of suites that are run otherwise are left out.
const tooLong = "for time: it is run on the other machines"

var (
	errnos = omission{"driver", "TestSetUpThatFailsIsARecordedReasonWhateverTheErrno", tooLong} // hundreds of processes
	races  = omission{"driver", "TestCancelRacingCompletionEndsExactlyOneWay", tooLong}         // some 100,000 requests
)

// bigEndianControl is a test that qemu-user cannot run: it does not swap the
// bytes of control data that it does not know, such as UDP_SEGMENT.
var bigEndianControl = omission{"eddy", "TestCutDatagramsArriveAsOne", "qemu-user does not translate the control data"}
