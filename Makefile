# make test runs everything that decides whether a change is good. Each step
# can be run by itself.

GO       ?= go
# The linter is built with the toolchain in use, so that it knows the language.
LINTER    = honnef.co/go/tools/cmd/staticcheck@v0.8.2
BIN       = $(CURDIR)/.bin
PACKAGES  = ./...
TIMEOUT   = -timeout 10m

.PHONY: test build vet lint unit race backends checkptr stress cross command fuse clean

test: build vet lint cross unit race backends checkptr stress command fuse

build:
	$(GO) build $(PACKAGES)
	$(GO) -C cmd/eddy build -o /dev/null .

vet:
	$(GO) vet $(PACKAGES)
	$(GO) -C cmd/eddy vet ./...
	$(GO) -C internal/fusetest vet ./...
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "not formatted"; exit 1; }

lint: $(BIN)/staticcheck
	$(BIN)/staticcheck -checks all $(PACKAGES)
	cd cmd/eddy && $(BIN)/staticcheck -checks all ./...
	cd internal/fusetest && $(BIN)/staticcheck -checks all ./...

$(BIN)/staticcheck:
	GOBIN=$(BIN) $(GO) install $(LINTER)

# What other systems get compiles, with its tests.
cross:
	for os in darwin windows freebsd; do GOOS=$$os $(GO) vet $(PACKAGES) && GOOS=$$os $(GO) -C cmd/eddy vet ./... || exit 1; done
	GOARCH=arm64 $(GO) vet $(PACKAGES)
	GOARCH=386 $(GO) vet $(PACKAGES)

# Skips are counted and shown: on a machine with io_uring and root there should
# be none, but for the sysctl test unless EDDY_TEST_SYSCTL=1.
unit:
	@mkdir -p $(BIN)
	$(GO) test $(TIMEOUT) -v $(PACKAGES) >$(BIN)/unit.log 2>&1 || { grep -v '^=== ' $(BIN)/unit.log | tail -n 300; exit 1; }
	@grep '^ok' $(BIN)/unit.log
	@echo "tests skipped: $$(grep -c -e '--- SKIP' $(BIN)/unit.log)"
	@grep -A 2 -e '--- SKIP' $(BIN)/unit.log || true

race:
	$(GO) test $(TIMEOUT) -race $(PACKAGES)

# The suite runs over every backend by itself; here the environment forces each
# in turn, as a user would.
backends:
	for b in uring epoll portable; do EDDY_BACKEND=$$b $(GO) test $(TIMEOUT) -count=1 . || exit 1; done

checkptr:
	$(GO) test $(TIMEOUT) -gcflags=all=-d=checkptr . ./driver ./uring ./poll

# Freed memory is overwritten at once and the collector never rests: whoever
# keeps a pointer that nobody sees finds garbage under it.
stress:
	GODEBUG=clobberfree=1 GOGC=1 $(GO) test $(TIMEOUT) -count=1 -short . ./driver ./uring

command:
	$(GO) -C cmd/eddy test $(TIMEOUT) ./...

# Needs root and /dev/fuse.
fuse:
	$(GO) -C internal/fusetest test $(TIMEOUT) -count=1 ./...

clean:
	rm -rf $(BIN)
