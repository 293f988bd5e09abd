# neurotriage: `make help` lists the targets. `make run` and `make test` are all a
# fresh machine needs (Go, a C compiler, make, and npm or pip; Python 3.11 or
# later for the Python tests and for training).

SHELL       := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory

# Real data that tests and benchmarks read; without it they skip and say so.
NEUROTRIAGE_DATA ?= $(abspath $(CURDIR)/../shared/data)
export NEUROTRIAGE_DATA

# ORT=cpu refuses the CUDA build of ONNX Runtime on a machine with an NVIDIA device.
ORT ?=
export ORT

# Built on first use and kept in Go's build cache.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI    := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.13.2

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME ?= 3m
# Of the targets that read whole DICOM files.
FILETIME ?= 10m
BENCH    ?= .
PACKAGES ?= ./...
VENV     := .venv-training
PYTEST   := $(VENV)/bin/python -m pytest -q -rs

say = @printf '\033[1m%s\033[0m\n' '$(1)'

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1|\2/' | column -t -s '|'

.PHONY: run
run: library build ## start the daemon on its embedded defaults, installing what is missing
	@exec bin/neurotriage serve $(ARGS)

.PHONY: build
build: ## bin/neurotriage
	$(call say,building bin/neurotriage)
	@go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/neurotriage ./cmd/neurotriage

.PHONY: library
library: ## fetch the pinned ONNX Runtime library, checked by its SHA-256
	$(call say,ONNX Runtime library)
	@go run ./classifier/onnx/library/fetch

.PHONY: python
python: ## set up the Python side in .venv-training
	$(call say,Python environment)
	@training/setup.sh

.PHONY: test
test: library python test-go test-python ## all Go and Python tests; missing peers skip with their reason

.PHONY: test-go
test-go:
	$(call say,Go tests)
	@go test -v -timeout 8m $(TESTFLAGS) $(PACKAGES) 2>&1 | .ci/verdicts

.PHONY: test-python
test-python:
	$(call say,Python tests)
	@$(PYTEST) training/tests 2>&1 | .ci/verdicts

# What CI runs after the tests. The steps stand in the order of their cost.
.PHONY: check
check: format generated lint units python-check race fuzz-short ## all that CI checks beside the tests

.PHONY: format
format:
	$(call say,format and module file)
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	@go mod tidy -diff
	@go mod verify

.PHONY: generated
generated: library
	$(call say,generated files)
	@state() { git diff; git ls-files --others --exclude-standard | xargs -r sha256sum; }; \
	before=$$(state | sha256sum); go generate ./...; \
	if [ "$$before" != "$$(state | sha256sum)" ]; then \
	  git status --short; echo "generated files were stale: commit what 'go generate ./...' has just written"; exit 1; fi

.PHONY: lint
lint:
	$(call say,vet)
	@go vet ./...
	$(call say,staticcheck)
	@go run $(STATICCHECK) ./...
	$(call say,import rules)
	@go test -count=1 -run '^TestArrows' .
	$(call say,golangci-lint)
	@go run $(GOLANGCI) run ./...

.PHONY: units
units:
	$(call say,systemd units)
	@systemd/check.sh

.PHONY: python-check
python-check: python
	$(call say,Python lint and types)
	@training/check.sh

# The rooms with goroutines: the other decoders, tables and benchmarks are straight lines.
.PHONY: race
race: library
	$(call say,race detector)
	@go test -race -short $$(go list $(PACKAGES) | grep -vE '/(dicomio/codec|dicomio/codec/(jpeg|jpegls|internal/peer)|bench|bench/.*|docs|docs/.*)$$')

.PHONY: fuzz-short
fuzz-short:
	@$(MAKE) fuzz FUZZTIME=10s FILETIME=10s

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (3m), of whole DICOM files for FILETIME (10m); PACKAGES=./dicomio/... narrows it
	$(call say,fuzzing $(FUZZTIME) a target and $(FILETIME) one of whole files)
	@FILETIME=$(FILETIME) .ci/fuzz $(FUZZTIME) $(PACKAGES)

.PHONY: bench
bench: library build ## benchmarks, written to bench/results as JSON and a table
	$(call say,benchmarks)
	@bench/run.sh '$(BENCH)'

.PHONY: train
train: python ## DATA=dir [WEIGHTS=file]: train the shipped model and write it with its card
	@[ -n "$(DATA)" ] || { echo "name the data: make train DATA=../shared/data/brainmri"; exit 2; }
	@training/train.sh --data '$(DATA)' $(if $(WEIGHTS),--weights '$(WEIGHTS)')

# What has figures is not run again: training/results/compare/rows/ROW/PROTOCOL-seedN.json, removed, is run anew.
.PHONY: compare
compare: library build python ## DATA=dir [WEIGHTS=dir or start] [ROWS="..."] [MINUTES=10] [JOBS=1]: the comparison of backbones and techniques
	@[ -n "$(DATA)" ] || { echo "name the data: make compare DATA=../shared/data/brainmri"; exit 2; }
	@OMP_WAIT_POLICY=passive $(VENV)/bin/python -m neurotriage_training compare all --data '$(DATA)' \
	  $(if $(WEIGHTS),$(if $(wildcard $(WEIGHTS)/.),--weights-dir,--start) '$(WEIGHTS)') \
	  $(if $(ROWS),--only $(ROWS)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(JOBS),--jobs $(JOBS)) $(COMPAREFLAGS)
