# The main commands. `make up` and `make test` are enough to get started.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# Shells opened before rustup was installed lack its folder on PATH, and sudo drops it: then use the caller's home.
ifeq ($(or $(CARGO),$(shell command -v cargo)),)
HOMES := $(HOME) $(if $(SUDO_USER),$(shell echo ~$(SUDO_USER)))
CARGO := $(or $(firstword $(wildcard $(HOMES:%=%/.cargo/bin/cargo))),$(HOME)/.cargo/bin/cargo)
export RUSTUP_HOME ?= $(CARGO:%/.cargo/bin/cargo=%/.rustup)
export PATH := $(CARGO:%/cargo=%):$(PATH)
endif
CARGO ?= cargo
export CARGO
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
CFLITE := $(TARGET_DIR)/release/cflite

.PHONY: help up down install box box-test test unit api compatibility fuzz fuzz-logs soak docker-test images-test client-test lint fmt bench screenshots build clean dist packaging-test package-test

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | column -ts $$'\t'

up: ## Install what is missing, build, start, and push a sample app
	@packaging/prerequisites.sh
	@packaging/step "build cflite" $(CARGO) build --release --locked
	@$(CFLITE) images build
	@$(CFLITE) up
	@$(CFLITE) demo

down: ## Stop the platform; apps keep running
	@$(CFLITE) down

build: ## Build the release binary
	$(CARGO) build --release --locked

box: ## Make a virtual machine with cflite: boxes for Vagrant, an OVA, a disk for clouds, a root for WSL
	@packaging/box/make

box-test: ## Boot the box under QEMU, push an app, halt, boot again and find it
	@packaging/box/test

install: ## Install the built cflite into /usr/local/bin if writable, else ~/.local/bin
	@[[ -x $(CFLITE) ]] || { echo 'There is no $(CFLITE) yet: run make build first' >&2; exit 1; }
	@folder=/usr/local/bin; [[ -w $$folder ]] || folder=$$HOME/.local/bin; \
	mkdir -p "$$folder" && install -m 755 $(CFLITE) "$$folder/cflite" && echo "Installed $$folder/cflite" && \
	{ [[ :$$PATH: == *":$$folder:"* ]] || echo "$$folder is not on PATH: add it, or log in again if your system adds it"; }

test: ## Install what is missing and run every test
	@packaging/prerequisites.sh --test
	@packaging/run-tests

unit: ## Unit tests
	$(CARGO) test --locked --lib

api: ## API tests with Docker in memory, the binary as a service, and the rules of the source tree
	$(CARGO) test --locked --test api --test authorisation --test service --test tidy

compatibility: ## Regenerate docs/compatibility.md from a run of every cf command
	UPDATE=1 $(CARGO) test --locked --test api commands

fuzz: ## Send random requests to every route for five minutes
	FUZZ_SECONDS=$${FUZZ_SECONDS:-300} FUZZ_SEED=$${FUZZ_SEED:-$$RANDOM} $(CARGO) test --locked --test api fuzz -- --nocapture

fuzz-logs: ## Random PromQL, output of containers and websocket frames, a few minutes of each
	PROPTEST_CASES=$${FUZZ_CASES:-20000} $(CARGO) test --locked --lib -- logs::promql::property_tests logs::split logs::cursor logs::segment logs::gateway::query logs::drains::format
	FUZZ_ROUNDS=$${FUZZ_ROUNDS:-5000} FUZZ_SEED=$${FUZZ_SEED:-$$RANDOM} $(CARGO) test --locked --test api garbage_in_frames -- --nocapture

soak: ## Ten minutes of killing everything under load, and 10 000 hostile lists: nothing is lost, nothing grows
	$(CARGO) test --locked --test docker chaos -- --ignored --nocapture
	HOSTILE_REQUESTS=$${HOSTILE_REQUESTS:-10000} $(CARGO) test --locked --test docker hostile -- --nocapture

dist: ## Make deb, rpm, tarball, image, bill of materials and checksums into dist/
	@packaging/dist

packaging-test: ## Tests of units, manual pages, completions and packages
	$(CARGO) build --locked --bin cflite --example pages
	@packaging/tests/run.sh

package-test: ## Install, upgrade, remove and purge the deb in Debian containers, also as a service of systemd
	@packaging/dist --only deb
	@deb=$$(ls -t dist/cflite_*.deb | head -n 1); packaging/tests/lifecycle.sh "$$deb" && packaging/tests/service.sh "$$deb"

docker-test: ## Tests that need the Docker daemon
	$(CARGO) test --locked --test docker

images-test: ## Tests of the stack images, lifecycle scripts and buildpacks
	@packaging/run-tests images

client-test: ## Tests with the real cf CLI, if installed, and a Python client
	@packaging/run-tests client

lint: ## Check formatting, lints and the documentation's links
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' $(CARGO) doc --locked --no-deps --document-private-items
	shellcheck $$(grep -rlE --exclude-dir=node_modules '^#!.*sh$$|^# shellcheck shell' images packaging tests .ci)

fmt: ## Format the code
	$(CARGO) fmt

bench: ## Compare performance with the budgets, and with peers if available; ONLY="WORD …" for some rows
	@packaging/prerequisites.sh --test
	@packaging/step "build cflite" $(CARGO) build --release --locked
	@python3 tests/bench/bench.py --cflite $(CFLITE) $(if $(ONLY),--only $(ONLY))

screenshots: ## Make the pictures of docs/console.md anew
	@packaging/prerequisites.sh --test
	@packaging/step "build cflite" $(CARGO) build --release --locked
	@mkdir -p docs/images
	@CFLITE_BINARY=$(abspath $(CFLITE)) CONSOLE_SCREENSHOTS=$(abspath docs/images) tests/console/run.sh --project=wide screenshots

clean: ## Remove build artifacts and packages
	$(CARGO) clean
	rm -rf dist
