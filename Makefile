# Needs Rust, and root for all that boots a host: `make demo` shows the product, `make test` runs every test.
SHELL := /bin/bash
SUDO := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env)
BINARY := target/release/synapse-workers
DEB := build/synapse-workers.deb
# Built into build/tools, so that nothing of the user's own cargo changes; pinned, so that every package is made alike.
CARGO_DEB := build/tools/bin/cargo-deb
CARGO_DEB_VERSION := 3.8.0

.PHONY: build deb docs demo end-demo clean-demo test test-fast bench needs

build:
	cargo build --release --locked

deb: build $(CARGO_DEB)
	rm -rf build/share
	mkdir -p build/share/man build/share/completions
	$(BINARY) generate man build/share/man
	$(BINARY) generate completions build/share/completions
	$(CARGO_DEB) --no-build --quiet --output $(DEB)

$(CARGO_DEB):
	cargo install --quiet --locked --root build/tools --version $(CARGO_DEB_VERSION) cargo-deb

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

test: test-fast deb
	$(SUDO) tests/booted/run

bench: needs deb
	$(SUDO) tests/booted/bench
