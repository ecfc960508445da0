# Needs Rust, and root for all that boots a host: `make demo` shows the product, `make test` runs every test.
SHELL := /bin/bash
SUDO := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env)
BINARY := target/release/synapse-workers
DEB := build/synapse-workers.deb
RPM := build/synapse-workers.rpm
# Built into build/tools, so that nothing of the user's own cargo changes; pinned, so that every package is made alike.
CARGO_DEB := build/tools/bin/cargo-deb
CARGO_DEB_VERSION := 3.8.0
CARGO_GENERATE_RPM := build/tools/bin/cargo-generate-rpm
CARGO_GENERATE_RPM_VERSION := 0.21.0

.PHONY: build packages deb rpm share docs demo end-demo clean-demo test test-fast soak faults bench needs

build:
	cargo build --release --locked

packages: deb rpm

deb: share $(CARGO_DEB)
	$(CARGO_DEB) --no-build --quiet --output $(DEB)

rpm: share $(CARGO_GENERATE_RPM)
	$(CARGO_GENERATE_RPM) --auto-req builtin --output $(RPM)

# What both packages carry and the program itself writes.
share: build
	rm -rf build/share
	mkdir -p build/share/man build/share/completions
	$(BINARY) generate man build/share/man
	$(BINARY) generate completions build/share/completions
	$(BINARY) generate accounts build/share
	gzip --keep --best --no-name build/share/man/*.1

$(CARGO_DEB):
	cargo install --quiet --locked --root build/tools --version $(CARGO_DEB_VERSION) cargo-deb

# Not optimised: that would take longer than it saves for a tool that packs one file of some megabytes.
$(CARGO_GENERATE_RPM):
	cargo install --quiet --locked --debug --config profile.dev.debug=false \
	    --root build/tools --version $(CARGO_GENERATE_RPM_VERSION) cargo-generate-rpm

# The page of all settings, from their table; a test compares.
docs:
	cargo run --quiet --locked -- generate reference docs

needs:
	$(SUDO) tests/host/needs

demo: needs deb
	$(SUDO) tests/host/demo $(DEB)

end-demo clean-demo:
	$(SUDO) tests/host/host stop demo

# Everything that needs no host.
test-fast: needs
	cargo test --locked
	tests/launcher/run

test: test-fast packages
	tests/packages/run $(DEB) $(RPM)
	$(SUDO) tests/booted/run

# Users go on while every process of a large server is restarted, again and again; and how that is without held sockets.
soak: needs deb
	$(SUDO) tests/booted/run soak soak-off

# What can go wrong in a change, at every step of it.
faults: needs deb
	cargo build --locked
	$(SUDO) tests/booted/run faults-all interrupted-runs

bench: needs deb
	$(SUDO) tests/booted/bench
