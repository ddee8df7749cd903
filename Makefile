# Two commands on a fresh Debian or Ubuntu machine with Rust and gcc: `make demo` and `make test`.

FOR ?=
SEED ?=
SENSORS ?=
DATA ?=
SCHEDULES ?=
HOGS ?=
NAB ?=
DETECT ?=
VERSION ?=
COMMIT ?=
PUSH ?=
# A path as one word of the shell. Not every shell expands the ~ of DATA=~/folder.
path = '$(subst ','\'',$(patsubst ~/%,$(HOME)/%,$(1)))'
DEMO_FLAGS = $(if $(FOR),--for $(FOR)) $(if $(SEED),--seed $(SEED)) $(if $(SENSORS),--sensors $(SENSORS)) $(if $(DATA),--data $(call path,$(DATA)))

.DEFAULT_GOAL := help
.PHONY: help servers test-packages schemas dist dist-test release demo test compose-test crash model lint nightly sanitize sanitize-short fuzz fuzz-short deny sbom bench bench-forest bench-nab bench-detect reference

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r target what; do printf '  make %-12s %s\n' "$$target" "$$what"; done
	@echo
	@echo '  make demo FOR=60s SEED=7 SENSORS=100 DATA=~/UrbanSound8K   all optional'

servers: ## Install missing servers: Redis, Mosquitto, PostgreSQL, Prometheus; and mosquitto_pub
	@./compose/install-servers

test-packages:
	@./compose/install-servers locales || echo 'make: the test of a German server will be skipped' >&2
	@./compose/install-servers iproute2 || echo 'make: the tests of networks that fail will be skipped' >&2

VALIDATOR = target/kubernetes-validate

schemas: ## Fetch kubernetes-validate, which has the published schemas of Kubernetes, into target/ (140 MB; needs python3-venv)
	@test -x $(VALIDATOR)/bin/kubernetes-validate || \
		{ python3 -m venv $(VALIDATOR) && $(VALIDATOR)/bin/pip install --quiet --disable-pip-version-check kubernetes-validate==1.37.0; } || \
		{ rm -rf $(VALIDATOR); echo 'make: the manifests will not be checked against the schemas of Kubernetes' >&2; }

demo: servers ## Start everything, replay a city of microphones, show anomalies, check that no reading is lost
	@echo 'demo: building the engine and the load test (a few minutes the first time)' >&2
	@cargo build --release --locked -p thicket -p thicket-loadtest
	@target/release/thicket-loadtest demo $(DEMO_FLAGS)

dist: ## Build what a release consists of, into target/dist: binaries, Debian packages, checksums
	@./dist/build

dist-test: ## Install, start, upgrade, remove and purge the package of make dist in a fresh Debian, also under systemd (root; five minutes)
	@./dist/test

release: ## Make a release; a dry run unless COMMIT=1 or PUSH=REMOTE (VERSION=0.2.0)
	@./dist/release $(VERSION) $(if $(PUSH),--push $(PUSH),$(if $(COMMIT),--commit))

test: servers test-packages schemas lint sanitize-short fuzz-short ## Check formatting and lints, run unit, property and integration tests, sanitizer and fuzzers in short
	cargo test --workspace --features rrcf-rs/serde,thicket/faults --locked --doc
	cargo test --workspace --features rrcf-rs/serde,thicket/faults --locked --no-fail-fast --lib --bins --tests --examples

compose-test: ## Run the composition on a Docker engine, crash it and cut its networks (12 minutes; installs an engine if root)
	@./compose/tests/docker/compose-test

crash: servers ## Kill engine and servers at every point, compare with an undisturbed run; the last line is JSON (12 minutes)
	@cargo build --locked -p thicket -p thicket-crash --features thicket/faults
	@target/debug/thicket-crash --engine target/debug/thicket $(if $(SEED),--seed $(SEED)) $(if $(SCHEDULES),--schedules $(SCHEDULES)) $(if $(HOGS),--hogs $(HOGS))

EXPLORE = cargo run --release --locked --quiet -p thicket-model --example explore --

model: ## Try the protocol's events in every order, with more readings and faults than make test (15 minutes, 8 GB)
	$(EXPLORE) --readings 3 --faults 3 $(addprefix --only ,crashes=2 lost-appends=1 lost-opens=1 lost-claims=1 lost-commits=1)
	$(EXPLORE) --readings 2 --faults 2
	$(EXPLORE) --readings 2 --faults 2 --lossy

lint: ## Check formatting and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features rrcf-rs/serde,thicket/faults --locked -- -D warnings
	cargo clippy -p thicket-compose --test composition_run --locked -- -D warnings
	cargo check -p rrcf-rs --no-default-features --locked

HOST = $(shell rustc -vV | sed -n 's/^host: //p')

nightly: sanitize fuzz deny crash compose-test ## What takes too long for make test: sanitizer, fuzzers, advisories, crashes, the composition

# A target of its own keeps build scripts and macros free of the sanitizer. tests/allocation.rs brings its own allocator, and counts;
# the reference cases are many and long, and take the same paths.
SANITIZE = RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address \
	cargo test --locked -p rrcf-rs --all-features --target $(HOST) --target-dir target/sanitize
FUZZ = cargo run --release --locked --target-dir target/fuzz --manifest-path

sanitize: ## Run the forest's tests under AddressSanitizer (a few minutes)
	$(SANITIZE) --lib --test forest

# All unit tests that read and write records, boxes and lanes.
sanitize-short:
	$(SANITIZE) --lib -- tree lanes snapshot eight

fuzz-short:
	$(FUZZ) rrcf/fuzz/Cargo.toml -- 50000 $(or $(SEED),1)
	$(FUZZ) codecs/fuzz/Cargo.toml -- 50000 $(or $(SEED),1)

deny: ## Check licences, bans, sources and advisories of all crates by deny.toml; needs cargo-deny
	@cargo deny --version >/dev/null 2>&1 || { echo 'make deny needs cargo-deny: cargo install --locked cargo-deny' >&2; exit 2; }
	cargo deny --locked check

sbom: ## Write target/sbom/*.cdx.json: which crates the engine and the load test are built from (CycloneDX); needs cargo-cyclonedx
	@cargo cyclonedx --version >/dev/null 2>&1 || { echo 'make sbom needs cargo-cyclonedx: cargo install --locked cargo-cyclonedx' >&2; exit 2; }
	./.ci/sbom

fuzz: ## Decode half a million damaged snapshots, and as many damaged payloads of each format (SEED=1 by default)
	$(FUZZ) rrcf/fuzz/Cargo.toml -- 500000 $(or $(SEED),1)
	$(FUZZ) codecs/fuzz/Cargo.toml -- 500000 $(or $(SEED),1)

bench: servers ## Measure the forest, the formats, the commit and the restore
	cargo bench --locked -p rrcf-bench -p thicket-codecs -p thicket-store -p thicket-actors

bench-forest: ## Compare the forest with krcflib, the Random Cut Forest of AWS in Rust (a few minutes)
	@cargo run --release --locked -p rrcf-bench

bench-nab: ## Measure how well detectors detect, on 34 labelled series or on the series in NAB=DIR; the last line is JSON (a minute)
	@cargo run --release --locked -p thicket-nab $(if $(NAB),-- --data $(call path,$(NAB)))

bench-detect: ## Measure detection on the labelled series in DETECT=DIR, and what a sensor costs; the last line is JSON (three minutes)
	@test -n $(call path,$(DETECT)) || { echo 'make bench-detect needs DETECT=DIR, a folder with labelled series of public sets.' >&2; \
		echo 'detector/bench/README.md says where to get the sets and how to lay them out. Without them:' >&2; \
		echo '  cargo run --release --locked -p thicket-detector-bench -- --part cost --part calm --part faults' >&2; exit 2; }
	@cargo run --release --locked -p thicket-detector-bench -- --data $(call path,$(DETECT))

reference: ## Compare the forest with the reference values of the original implementation
	cargo run --release --locked --quiet -p rrcf-rs --example reference -- rrcf/tests/reference/*.json
