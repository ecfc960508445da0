# Needs Rust, and root for every target that boots a host: `make demo` shows the product, `make test` runs every test.
SHELL := /bin/bash
SUDO := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env)
BINARY := target/release/synapse-workers
DEB := build/synapse-workers.deb
RPM := build/synapse-workers.rpm
# Pinned, so that every package is built alike. In the cache of the user, so that the cargo of the user does not change, and
# that another checkout, as .ci/run needs one, does not compile them for minutes.
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/synapse-workers
CARGO_DEB_VERSION := 3.8.0
CARGO_DEB := $(TOOLS)/cargo-deb-$(CARGO_DEB_VERSION)/bin/cargo-deb
CARGO_GENERATE_RPM_VERSION := 0.21.0
CARGO_GENERATE_RPM := $(TOOLS)/cargo-generate-rpm-$(CARGO_GENERATE_RPM_VERSION)/bin/cargo-generate-rpm
CHECKERS := build/tools/checkers
SHELL_SCRIPTS := .ci/run tests/adopted/container-stand-in $(addprefix tests/host/,demo host keeper needs recipe) $(wildcard packaging/scripts/*) \
    $(patsubst %,tests/cases/%/expected/metrics/host.sh,05-metrics 19-backups)
# The oldest supported Rust.
MSRV := $(shell sed -n 's/^rust-version = "\([0-9.]*\)".*/\1/p' Cargo.toml)
# The cases of `make booted`: CASE="tls scale"; all without it.
CASE :=
# The parts of `make bench`: PART="memory start"; without it all that do not take long.
PART :=

.PHONY: build packages deb rpm share docs demo end-demo clean-demo test test-fast booted soak faults bench needs
.PHONY: lint deny advisories msrv

build:
	cargo build --release --locked

packages: deb rpm

deb: share $(CARGO_DEB)
	$(CARGO_DEB) --no-build --quiet --output $(DEB)

rpm: share $(CARGO_GENERATE_RPM)
	$(CARGO_GENERATE_RPM) --auto-req builtin --output $(RPM)

# The files of both packages that the program itself generates.
share: build
	rm -rf build/share
	mkdir -p build/share/man build/share/completions
	$(BINARY) generate man build/share/man
	$(BINARY) generate completions build/share/completions
	$(BINARY) generate accounts build/share
	gzip --keep --best --no-name build/share/man/*.[578]

$(CARGO_DEB):
	cargo install --quiet --locked --root $(patsubst %/bin/,%,$(dir $@)) --version $(CARGO_DEB_VERSION) cargo-deb

# Not optimised: the optimisation takes longer than the packing of some megabytes.
$(CARGO_GENERATE_RPM):
	cargo install --quiet --locked --debug --config profile.dev.debug=false \
	    --root $(patsubst %/bin/,%,$(dir $@)) --version $(CARGO_GENERATE_RPM_VERSION) cargo-generate-rpm

# Generates docs/settings.md from the table of settings; a test compares the two.
docs:
	cargo run --quiet --locked -- generate reference docs

needs:
	$(SUDO) tests/host/needs

demo: needs deb
	$(SUDO) tests/host/demo $(DEB)

end-demo clean-demo:
	$(SUDO) tests/host/host stop demo

# Everything that needs no booted host and no packages.
lint: deny
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --quiet
	shellcheck --external-sources --source-path=SCRIPTDIR $(SHELL_SCRIPTS)
	$(CHECKERS)/bin/ruff check

# Licences, banned and duplicate crates, and sources, from Cargo.lock alone.
deny: $(CHECKERS)/installed
	$(CHECKERS)/bin/cargo-deny --locked check bans licenses sources

# Downloads the RustSec database: the result depends on the day, so it is no part of `make lint`.
advisories: $(CHECKERS)/installed
	$(CHECKERS)/bin/cargo-deny --locked check advisories

# Compiles with the declared rust-version; needs that toolchain: rustup toolchain install --profile minimal VERSION. A directory
# of its own keeps the builds in target/ valid. No part of .ci/run, because many machines have one toolchain only.
msrv:
	cargo +$(MSRV) check --all-targets --locked --target-dir build/msrv

$(CHECKERS)/installed: .ci/tools.txt
	python3 -m venv $(CHECKERS)
	$(CHECKERS)/bin/pip install --quiet --require-hashes --only-binary=:all: --requirement .ci/tools.txt
	touch $@

# Every test that needs no booted host.
test-fast: needs
	cargo test --locked
	tests/launcher/run
	cd tests/booted && python3 -m unittest --quiet benchmarks.growth_tests

test: test-fast packages
	tests/packages/run $(DEB) $(RPM)
	$(SUDO) tests/booted/run

# Single cases in booted hosts: make booted CASE="tls scale". `tests/booted/run --list` names them.
booted: needs deb
	$(SUDO) tests/booted/run $(CASE)

# Restarts every process of a large server repeatedly while clients use it, with and without socket activation.
soak: needs deb
	$(SUDO) tests/booted/run soak soak-off

# Fails, kills and disturbs a change at every step.
faults: needs deb
	cargo build --locked
	$(SUDO) tests/booted/run faults-all interrupted-runs

# `tests/booted/bench --list` names the parts.
bench: needs deb
	$(SUDO) tests/booted/bench $(PART)
