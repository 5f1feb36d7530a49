# Interdict. `make run` and `make test` do all the set-up on a fresh Debian machine.
.DEFAULT_GOAL := help
.PHONY: help deps deps-test run test check bench demo-retrohunt demo-consortium soak crash fuzz audit
SHELL := /bin/bash

DATA ?= run
HTTP ?= 127.0.0.1:8470
ONCE ?=
ROUNDS ?= 1000
SEEDS ?= 300000
# rustup puts cargo here; a fresh shell may not have it on its path yet.
export PATH := $(HOME)/.cargo/bin:$(PATH)

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

deps: # what is missing: a C compiler (for ring and zstd) and Rust
	@tools/deps.sh

deps-test: # and what only the tests need: promtool
	@tools/deps.sh test

run: deps ## build, start on the embedded default, stream the simulated world, leave the API up (ONCE=1: end after the feed)
	cargo build --release --bin interdict --bin interdict-bench
	tools/run.sh "$(DATA)" "$(HTTP)" "$(ONCE)"

test: deps-test ## every test, with a closing line `N passed, N failed, N skipped`
	tools/test.sh

check: deps ## rustfmt and clippy, warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

bench: deps ## every benchmark beside its alternative; the only writer of bench/results.json and bench/RESULTS.md
	tools/bench.sh

demo-retrohunt: deps ## one day in under a minute: what is learned at noon stops in the evening what was approved in the morning
	cargo build --release --bin interdict --bin interdict-bench
	target/release/interdict-bench demo-retrohunt

demo-consortium: deps-test ## five banks, a hub and an auditor: a card reported at one stops payments at others; the proof and the bill
	cargo build --release --bin interdict --bin interdict-bench
	target/release/interdict-bench demo-consortium

soak: deps ## the long rounds of the simulator, the property and the crash tests (SEEDS, PROPTEST_CASES, ROUNDS)
	INTERDICT_SIM_FROM=2000 INTERDICT_SIM_SEEDS=$(SEEDS) cargo test --release -p interdict-tests --test sim -- --nocapture
	PROPTEST_CASES=$${PROPTEST_CASES:-5000} cargo test --release --workspace -- --nocapture
	$(MAKE) crash ROUNDS=$(ROUNDS)

crash: deps ## kill -9 under load, ROUNDS=N rounds (default 1000)
	INTERDICT_CRASH_ROUNDS=$(ROUNDS) cargo test --release -p interdict-tests --test crash -- --nocapture

fuzz: deps ## cargo-fuzz over every parser for FUZZ_SECONDS each (default 60); needs nightly Rust and cargo-fuzz
	tools/fuzz.sh

audit: deps ## licences, bans and advisories (installs cargo-deny where it is missing)
	command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny check
