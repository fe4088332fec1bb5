.PHONY: demo test check lint bench images cluster-up cluster-down clean

demo: ## The main job on your terminal, in about a minute. KEEP=1 leaves it running.
	@scripts/demo

test: ## Everything; builds and caches what it needs under ~/.cache/rynxs
	@scripts/test

check: lint ## Lint, types and unit tests, in a minute
	@"$$(scripts/setup)/bin/pytest" -q -n 2 tests/unit

lint:
	@scripts/lint

bench: ## Measure; the figures are in docs/benchmarks.md
	@"$$(scripts/setup)/bin/python" -m bench

images: ## Build the images into archives under ~/.cache/rynxs; REGISTRY and TAG name them
	@scripts/images

cluster-up: ## A real Kubernetes of two nodes on this machine (root); prints its KUBECONFIG
	@scripts/cluster up

cluster-down: ## Remove it, and leave nothing behind
	@scripts/cluster down

clean: ## Remove what the commands above made in this folder
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
