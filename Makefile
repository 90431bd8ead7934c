# make demo     sets up, builds, starts, seeds, replicates, answers: the whole story (SCALE=small|medium|large)
# make test     every check and every test
# make check    format, lint, layers, fault points
# make bench    the figures of bench/README.md (BENCH=pattern for a part, BENCH_SMOKE=1 for tiny runs)
SCALE ?= small
JOBS  ?= 2
CACHE := $(shell scripts/setup --print)
PYTHON := $(CACHE)/venv/bin/python
export CCACHE_DIR ?= $(CACHE)/ccache
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1
export CCACHE_SLOPPINESS := pch_defines,time_macros,include_file_mtime,include_file_ctime

.PHONY: all build demo demo-down test check bench setup-build setup-demo setup-test clean

all: build

setup-build:
	@scripts/setup build
setup-demo: setup-build
	@scripts/setup demo
setup-test: setup-demo
	@scripts/setup python
	@scripts/setup spark

build: setup-build
	@cmake --preset release >/dev/null
	@cmake --build --preset release -j $(JOBS) --target tarn
	@ln -sf release/tarn build/tarn

demo: setup-demo build
	@$(PYTHON) -m demo.story up --scale $(SCALE)

demo-down:
	@$(PYTHON) -m demo.story down

test: setup-test check
	@cmake --preset release >/dev/null
	@cmake --build --preset release -j $(JOBS)
	@ln -sf release/tarn build/tarn
	@cmake --preset fuzz >/dev/null
	@cmake --build --preset fuzz -j $(JOBS)
	@scripts/run_tests

check: setup-build
	@scripts/check

bench: setup-test
	@cmake --preset bench >/dev/null
	@cmake --build --preset bench -j $(JOBS)
	@$(PYTHON) -m bench.run

clean:
	rm -rf build
