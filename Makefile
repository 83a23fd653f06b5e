# make test   everything that CI runs; installs what it needs (as root on Debian)
# make demo   three real systemd nodes: a good commit is promoted, a bad one rolled back; with KEEP=1 they stay, to be watched
# make bench  figures: memory, overhead, speed
# make boards draws the Grafana boards into docs/, with Grafana's own components; installs and fetches a lot

SHELL := /bin/bash
.DELETE_ON_ERROR:

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TOOLS    := $(CURDIR)/.cache/bin
LINT     := $(TOOLS)/golangci-lint-2.15.0
ACTIONS  := $(TOOLS)/actionlint-1.7.7
BINARY   := .cache/infra-agent
MAX_SIZE := 18000000 # bytes of the stripped static binary

.PHONY: build test demo bench boards lint unit size promtool nix lab go clean

build: go
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $(BINARY) ./cmd/infra-agent

# The lab waits for clocks and for machines much of the time: the other tests run beside it, in what it leaves of the processors.
test: go build size lint
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lab unit nix promtool
	@echo "make test: passed"

# Go is the one thing that must be there: say so before anything else fails.
go:
	@command -v go >/dev/null || { echo "make: Go 1.26 or newer is needed: https://go.dev/dl/" >&2; exit 1; }
	@go version | awk '{ split(substr($$3, 3), v, "."); if (v[1] < 1 || v[1] == 1 && v[2] < 26) { print "make: Go 1.26 or newer is needed, this is " $$3 > "/dev/stderr"; exit 1 } }'

# The packages are those of a binary that has kept its symbols.
size: build
	@CGO_ENABLED=0 go build -trimpath -o $(BINARY).symbols ./cmd/infra-agent
	@go tool nm -size $(BINARY).symbols | awk '$$3 ~ /^[TtRr]$$/ { sub(/^type:\*?/, "", $$4); \
		at = match($$4, "/[^/(]*[.]"); head = at ? substr($$4, 1, at) : ""; split(substr($$4, length(head) + 1), name, "."); size[head name[1]] += $$2 } \
		END { for (p in size) if (p !~ /:/) print size[p], p }' | sort -rn | head -5
	@size=$$(stat -c %s $(BINARY)); echo "binary: $$size bytes, limit $(MAX_SIZE)"; test $$size -le $(MAX_SIZE)

lint: $(LINT) $(ACTIONS)
	$(LINT) run --allow-parallel-runners ./...
	$(ACTIONS) -ignore 'label "native" is unknown' -ignore 'specifying action "https://' packaging/fleet/fleet/.{github,forgejo}/workflows/*.yml
	@rm -rf .cache/workflows; mkdir -p .cache/workflows
	@awk '/^```yaml$$/ { at = ".cache/workflows/" ++n ".yml"; next } /^```$$/ { at = "" } at { print > at }' docs/manifests.md
	$(ACTIONS) -ignore 'label "native" is unknown' .cache/workflows/*.yml
	@set -o pipefail; go run ./.ci/filegraph ./reconcile | tail -1
	@test -z "$$(go mod tidy -diff)" || { echo "go.mod is not tidy: run go mod tidy" >&2; exit 1; }

$(LINT): | go
	GOBIN=$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	mv $(TOOLS)/golangci-lint $@

$(ACTIONS): | go
	GOBIN=$(TOOLS) go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.7
	mv $(TOOLS)/actionlint $@

# Tests sync many small files to disk, for which they need not wait where there is room in memory.
MEMORY := $(shell findmnt --noheadings --output OPTIONS /dev/shm | grep -qv noexec && \
	test "$$(df --output=avail /dev/shm | tail -1)" -ge 4000000 && echo TMPDIR=/dev/shm)

# Under the race detector the large tables are thinner, and what counts bytes, or is a process for each of some hundred
# commands, is left out: they follow without it. Lint has vetted it all.
unit: | go
	$(MEMORY) nice go test -race -vet=off -timeout 60m -skip '^TestScripts$$' ./...
	$(MEMORY) nice go test -vet=off -timeout 60m -run 'AtEveryPoint|WhileRecovering|StoreStaysSmall|^TestScripts$$' ./agent ./agent/source ./cmd/infra-agent

# On real systemd nodes, with real Nix.
lab: | go
	.ci/lab

# Every Nix file parses, and the package's vendor hash is right.
nix: lab
	.ci/nix

# What Prometheus itself says of the rules, of the boards and of a scrape.
promtool: build
	.ci/promtool $(BINARY)

demo: | go
	@test "$$(id -u)" = 0 || { echo "make demo: it starts systemd machines: run it as root" >&2; exit 1; }
	integration/setup.sh
	@go build -o .cache/demo ./integration/demo
	@.cache/demo # not by go run, which answers Ctrl-C with an error

bench: | go
	integration/setup.sh servers
	go test -run '^$$' -bench . -benchmem ./...
	go test -tags integration -run '^$$' -bench . -benchtime 1x ./integration ./nixos-module

boards: | go
	.ci/boards

clean:
	rm -rf .cache
