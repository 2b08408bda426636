# make test runs everything that decides whether a change is good. Each step
# can be run by itself.

GO       ?= go
# The linter is built with the toolchain in use, so that it knows the language.
LINTER    = honnef.co/go/tools/cmd/staticcheck@v0.8.2
# The runner of tests says last what failed, where nobody has to search for it.
RUNNER    = gotest.tools/gotestsum@v1.13.0
BIN       = $(CURDIR)/.bin
PACKAGES  = ./...
MODULES   = cmd/eddy internal/fusetest internal/peertest internal/kernels
TIMEOUT   = -timeout 10m
# How long make soak runs.
TIME     ?= 10m

.PHONY: test build vet lint unit race backends apart stress cross command fuse more sysctl peers long explore mistakes fuzz soak kernels clean

test: build vet lint cross unit race backends apart stress command fuse

# What takes longer, or more to be installed.
more: explore fuzz peers

build:
	$(GO) build $(PACKAGES)
	$(GO) -C cmd/eddy build -o /dev/null .

vet:
	$(GO) vet $(PACKAGES)
	for m in $(MODULES); do $(GO) -C $$m vet ./... || exit 1; done
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "not formatted"; exit 1; }

lint: $(BIN)/staticcheck
	$(BIN)/staticcheck -checks all $(PACKAGES)
	for m in $(MODULES); do (cd $$m && $(BIN)/staticcheck -checks all ./...) || exit 1; done

$(BIN)/staticcheck:
	GOBIN=$(BIN) $(GO) install $(LINTER)

# What other systems get compiles, with its tests.
cross:
	for os in darwin windows freebsd; do GOOS=$$os $(GO) vet $(PACKAGES) && GOOS=$$os $(GO) -C cmd/eddy vet ./... || exit 1; done
	GOARCH=arm64 $(GO) vet $(PACKAGES)
	GOARCH=386 $(GO) vet $(PACKAGES)

$(BIN)/gotestsum:
	GOBIN=$(BIN) $(GO) install $(RUNNER)

# run runs the tests of a directory: a line for each package, and at the end what
# failed and was skipped, with what it said. On a machine with io_uring and root
# nothing should be skipped but rings that poll a device (IOPOLL), which few block
# devices let, and the test that make sysctl runs.
run = cd $(1) && $(BIN)/gotestsum --format pkgname --format-hide-empty-pkg --raw-command -- $(GO) test -json $(TIMEOUT)

unit: $(BIN)/gotestsum
	$(call run,.) $(PACKAGES)

race: $(BIN)/gotestsum
	$(call run,.) -race -short $(PACKAGES)

# The suite runs over every backend by itself; here the environment forces each
# in turn, as a user would.
backends: $(BIN)/gotestsum
	for b in uring epoll portable; do (export EDDY_BACKEND=$$b; $(call run,.) -count=1 -short -run 'Example|Default|Backend|Status|Files|Signals' .) || exit 1; done

# The suite once more, with every socket apart from its loop, as those with little
# to do are.
apart: export EDDY_BACKEND = epoll
apart: export EDDY_TEST_APART = 1
apart: $(BIN)/gotestsum
	$(call run,.) -count=1 -race -short .

# Freed memory is overwritten at once and the collector never rests: whoever
# keeps a pointer that nobody sees finds garbage under it. Conversions of
# pointers are checked in the same run.
stress: export GODEBUG = clobberfree=1
stress: export GOGC = 1
stress: $(BIN)/gotestsum
	$(call run,.) -count=1 -short -gcflags=github.com/eddyio/eddy/...=-d=checkptr . ./driver ./uring ./poll

command: $(BIN)/gotestsum
	$(call run,cmd/eddy) ./...

# Needs root and /dev/fuse.
fuse: $(BIN)/gotestsum
	$(call run,internal/fusetest) -count=1 ./...

# Changes kernel.io_uring_disabled for some milliseconds, in which nobody on the
# machine can make a ring: by itself, on a machine that is yours.
sysctl: export EDDY_TEST_SYSCTL = 1
sysctl: $(BIN)/gotestsum
	$(call run,.) -count=1 -run '^TestSysctlIsNamed$$' ./probe

# Real peers: net/http, HTTP/2, WebSocket, gRPC, Redis, curl, h2load, wrk. What is
# not installed is skipped, and says so.
peers: $(BIN)/gotestsum
	$(call run,internal/peertest) -count=1 ./...

# The full numbers: 64 connections with 256 MiB each way, 100,000 rounds of close
# races under the race detector. About half an hour; EDDY_BACKEND=epoll make long
# takes one backend.
LONG_RACES = ^(TestCloseLetsCallsHitForeignDescriptors|TestCloseOfListenerLetsAcceptHitForeignDescriptors|TestStaleInterruptionEndsTheNextCall)$$
long:
	EDDY_TEST_LONG=1 $(GO) test -timeout 90m -count=1 -v -run '^TestBytesAreLostOrOutOfOrder$$' .
	EDDY_TEST_LONG=1 $(GO) test -timeout 90m -count=1 -v -race -run '$(LONG_RACES)' .

# Every schedule of up to three requests, on the real code.
explore:
	$(GO) vet -tags explore ./driver
	$(GO) test $(TIMEOUT) -count=1 -tags explore -run '^TestExplore' ./driver

# The explorer must catch each seeded mistake (it compiles the package once for
# each), and so must the soak test.
mistakes:
	$(GO) test -timeout 40m -count=1 -tags mistakes -run '^Test(ExplorerCatchesEveryMistake|SeamIsLeftInAnOrdinaryBuild)$$' ./driver
	$(GO) test $(TIMEOUT) -count=1 -tags mistakes ./internal/soak

# Each target for a bounded count; what it finds it writes to testdata/fuzz.
FUZZ = -run '^$$' -fuzzminimizetime 1x
fuzz:
	$(GO) test $(FUZZ) -fuzz '^FuzzDispatch$$' -fuzztime 20000x ./driver
	$(GO) test $(FUZZ) -fuzz '^FuzzEncode$$' -fuzztime 20000x ./uring
	$(GO) test $(FUZZ) -fuzz '^FuzzProc$$' -fuzztime 20000x ./probe
	$(GO) -C cmd/eddy test $(FUZZ) -fuzz '^FuzzNames$$' -fuzztime 800x ./internal/copytree

# Other kernels and processors, in emulated machines: docs/kernels.md.
kernels:
	$(GO) -C internal/kernels test ./...
	@mkdir -p $(BIN)/kernels
	$(GO) -C internal/kernels run ./run -logs $(BIN)/kernels

# Everything at once for a while, and what is left behind: docs/soak.md.
# GODEBUG=clobberfree=1 make soak is the harsher variant.
soak:
	@mkdir -p $(BIN)
	$(GO) build -o $(BIN)/soak ./internal/soak
	$(BIN)/soak -time $(TIME)

clean:
	rm -rf $(BIN)
