# The two commands to know: `make demo` and `make test`.

IMG ?= ghcr.io/dkoshkin/kubernetes-upgrader:v0.7.0
OUT ?= out
CARGO ?= cargo
KUBECTL ?= kubectl
PLUGIN_DIR ?= $(HOME)/.local/bin
BIN = $(or $(CARGO_TARGET_DIR),target)/debug

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ See it and test it

.PHONY: demo
demo: control-plane ## Watch a Cluster move to a new version on a real control plane; KEEP=1 leaves it running
	E2E_MANAGER=$(abspath $(BIN)/manager) $(BIN)/demo

# The tests with the real Cluster API, of which a machine runs one at a time: `test = false` in test/e2e/Cargo.toml.
ON_CLUSTER_API = chain faults original

.PHONY: test
test: fmt-check lint ## Run every test: format, lints, unit tests, and live tests on a real control plane
	$(CARGO) test --workspace --no-run
	$(CARGO) test --workspace --no-run $(ON_CLUSTER_API:%=--test %)
	$(BIN)/controlplane build --kubelet
	@echo "Tests run in two rows for some minutes; the output of each is shown when it ends."
	@$(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync=target test-on-cluster-api test-beside

# What takes turns mostly waits, so that everything else fits in beside it.
.PHONY: test-on-cluster-api test-beside
test-on-cluster-api test-beside: export E2E_MANAGER = $(abspath $(BIN)/manager)
test-on-cluster-api:
	$(CARGO) test --workspace --no-fail-fast $(ON_CLUSTER_API:%=--test %)
test-beside:
	$(CARGO) test --workspace --no-fail-fast

.PHONY: test-unit
test-unit: ## Run the tests that need no control plane: seconds
	$(CARGO) test --workspace --exclude e2e --exclude controlplane

.PHONY: control-plane
control-plane: build ## Build etcd, Kubernetes, kwok and Cluster API from published Go modules (cached outside the checkout)
	$(BIN)/controlplane build

.PHONY: prove
RUNS ?= 1000
FROM ?= 1
FAMILY ?= chain
prove: ## Search RUNS seeds, from FROM, for one at which the controllers of FAMILY (chain, nodes) break an invariant under faults
	$(CARGO) run --quiet --profile release-fast -p sim --bin prove -- --family $(FAMILY) --runs $(RUNS) --from $(FROM)

##@ Measure

RELEASE = $(or $(CARGO_TARGET_DIR),target)/release

# Two builds, or the bench's dependencies would add features to the manager's. BENCH_FLAGS, such as `--clusters=250`: see --help.
.PHONY: bench
bench: ## Measure memory, processors, requests and times with up to 2,000 Clusters: half an hour
	$(CARGO) build --release -p manager
	$(CARGO) build --profile release-fast -p e2e --bin bench
	E2E_MANAGER=$(abspath $(RELEASE)/manager) $(RELEASE)-fast/bench --out=$(OUT)/bench $(BENCH_FLAGS)

.PHONY: bench-simulate
bench-simulate: ## Measure simulate: time and memory of 2,000 Clusters over 30 days, three runs
	$(CARGO) run --quiet --profile release-fast -p cli --example fleet

##@ Develop

.PHONY: build
build: ## Build everything for development
	$(CARGO) build --workspace

.PHONY: run
run: build ## Run the manager on the cluster of the current kubeconfig
	$(BIN)/manager

.PHONY: fmt
fmt: ## Format
	$(CARGO) fmt --all

.PHONY: fmt-check
fmt-check:
	$(CARGO) fmt --all --check

.PHONY: lint
lint: ## Lint
	$(CARGO) clippy --workspace --all-targets -- -D warnings

.PHONY: generate
generate: ## Write every generated file: CRDs, RBAC, policies
	$(CARGO) run --quiet -p xtask -- generate

.PHONY: manifests
manifests: generate ## The same, by the original's name

##@ Install

.PHONY: install
install: ## Install the CRDs into the cluster of the current kubeconfig
	$(KUBECTL) apply -k config/crd

.PHONY: plugin
plugin: ## Build the plugin, and put it where kubectl finds it: PLUGIN_DIR, which is to be in PATH
	$(CARGO) build --profile plugin -p cli
	install -d $(PLUGIN_DIR)
	install -m 0755 $(or $(CARGO_TARGET_DIR),target)/plugin/kubectl-upgrader hack/kubectl_complete-upgrader $(PLUGIN_DIR)

.PHONY: uninstall
uninstall: ## Remove the CRDs, and with them every object of their kinds
	$(KUBECTL) delete --ignore-not-found -k config/crd

.PHONY: deploy
deploy: $(OUT)/components.yaml ## Install everything, with IMG as the manager's image
	$(KUBECTL) apply -f $(OUT)/components.yaml

.PHONY: undeploy
undeploy: $(OUT)/components.yaml ## Remove everything
	$(KUBECTL) delete --ignore-not-found -f $(OUT)/components.yaml

.PHONY: deploy-nodes
deploy-nodes: $(OUT)/node-operations.yaml ## Install operations on nodes, with IMG as the manager's image
	$(KUBECTL) apply -f $(OUT)/node-operations.yaml

.PHONY: undeploy-nodes
undeploy-nodes: $(OUT)/node-operations.yaml ## Remove operations on nodes
	$(KUBECTL) delete --ignore-not-found -f $(OUT)/node-operations.yaml

##@ Release

.PHONY: release-manifests
release-manifests: $(OUT)/components.yaml $(OUT)/node-operations.yaml ## Render both installations to out/, with IMG as the manager's image

.PHONY: $(OUT)/components.yaml $(OUT)/node-operations.yaml
$(OUT)/components.yaml: OVERLAY = config/default
$(OUT)/node-operations.yaml: OVERLAY = config/nodes/default
$(OUT)/components.yaml $(OUT)/node-operations.yaml:
	@mkdir -p $(OUT)
	$(KUBECTL) kustomize $(OVERLAY) | sed "s|: ghcr.io/dkoshkin/kubernetes-upgrader:.*|: $(IMG)|" > $@

.PHONY: release-samples
release-samples: ## Copy the samples to out/samples
	@mkdir -p $(OUT)/samples
	cp config/samples/*.yaml $(OUT)/samples/

.PHONY: release-snapshot
release-snapshot: release-manifests release-samples ## Build the release binary, the manifests and the samples
	$(CARGO) build --release -p manager

.PHONY: image
image: ## Write the manager's image as IMG to out/manager.tar (an OCI layout), without a container engine
	$(CARGO) build --release -p manager
	@mkdir -p $(OUT)
	$(CARGO) run --quiet -p controlplane -- image --binary=$(RELEASE)/manager --name=$(IMG) --out=$(OUT)/manager.tar

.PHONY: docker-build
docker-build: ## Build the manager's image as IMG
	docker build -t $(IMG) .

.PHONY: docker-push
docker-push: ## Push IMG
	docker push $(IMG)
