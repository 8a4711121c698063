# The front door. `make help` lists the targets.
SHELL := /bin/bash
BUILD := build/release
PREFIX ?= $(CURDIR)/build/install
JOBS ?= $(shell nproc)
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1
# The program alone; tests are built by the targets that run them.
CMAKE_FLAGS ?=

.PHONY: help setup build test test-integration campaign check check-full bench demo install clean

help: ## List the targets
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z%-]+):[^#]*## (.*)/  make \1|\2/' | column -t -s '|'

setup: ## Install what is missing (asks for sudo only when packages are)
	@tools/setup

$(BUILD)/build.ninja: CMakeLists.txt cmake/*.cmake | setup
	@cmake -S . -B $(BUILD) -G Ninja -DCMAKE_BUILD_TYPE=Release $(CMAKE_FLAGS) > build-configure.log 2>&1 || { cat build-configure.log; rm -f build-configure.log; exit 1; }
	@rm -f build-configure.log

build: setup $(BUILD)/build.ninja ## Build the release program: build/sluice
	@ninja -C $(BUILD) -j $(JOBS) sluice
	@ln -sf release/sluice build/sluice

test: build ## Build and run all tests that need no foreign server
	@tools/run-tests

test-integration: build ## Install the servers that tests run against, and run those tests
	@tools/setup --integration && tools/run-tests --label integration

campaign: build ## The long form of the push oracle: thousands of kills, full disks, failing fsyncs (hours)
	@SLUICE_CAMPAIGN=1 python3 tests/oracle/push_oracle.py --sluice $(BUILD)/sluice

check: build ## Format, layers, generated documents, spelling, clang-tidy, sanitizers
	@tools/setup --lint && tools/check --ci

check-full: build ## Everything: full clang build, full clang-tidy, thread sanitizer, long fuzzing
	@tools/setup --lint && tools/check --full

bench: build ## The benchmarks, each against a peer in the same run
	@benchmarks/run

demo: build ## The main job on real data, in a scratch workspace
	@tools/demo

example-%: build ## Run an example of examples/pipelines, with the servers that it needs; `examples/pipelines/run` lists them
	@examples/pipelines/run $* --sluice $(BUILD)/sluice

install: build ## Install into PREFIX; the tree can be moved
	@ninja -C $(BUILD) -j $(JOBS) sluice_bundle > /dev/null
	@cmake --install $(BUILD) --prefix $(abspath $(PREFIX)) > /dev/null
	@echo "installed: $(PREFIX)"

clean: ## Remove what was built
	@rm -rf build
