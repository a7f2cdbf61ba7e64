# Every command that a person types here; `make help` lists them. V=1 shows what is run.

V ?= 0
Q := $(if $(filter 0,$(V)),@,)
BIN := .venv/bin
WORKERS ?= auto
ARGS ?=

# In a checkout that belongs to somebody else, the tools' caches go elsewhere.
CACHE := $(if $(shell test -w . && echo yes),build/cache,$(or $(TMPDIR),/tmp)/testbed-cache-$(shell id -u))
export MYPY_CACHE_DIR := $(CACHE)/mypy
export RUFF_CACHE_DIR := $(CACHE)/ruff

# Some tests take as long as thousands of others: a worker that is done takes over from one that is not.
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist worksteal
PURE := -m "not kernel and not browser"

# What a kernel offers is asked once, so that `doctor` and `--kernel auto` know.
ask = $(BIN)/python -c 'from testbed.machine.kernels import offers; offers.known("$(1)")'

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help deps uml vm check style types unit test test-vm bench soak-churn soak-kills fuzz golden clean

help: ## this list
	@sed -n 's/^\([a-z%-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24
	@for file in $(sort $(wildcard benchmarks/bench_*.py)); do \
	    name=$${file#benchmarks/bench_}; echo "  make bench-$${name%.py}" | tr _ -; done

deps: ## install what is needed: Debian packages as root, and .venv; quick when it is there
	$(Q).ci/deps

uml: deps ## build User Mode Linux, for --kernel uml: some minutes, once; quick when it is there
	$(Q).ci/uml
	$(Q)$(call ask,uml)

vm: deps ## get QEMU and a kernel of Debian's, for --kernel vm; quick when they are there
	$(Q).ci/vm
	$(Q)$(call ask,vm)

check: deps style types unit ## style, types, unit, golden and house tests: no root, under a minute

style: deps
	$(Q)$(BIN)/ruff check --quiet .
	$(Q)$(BIN)/ruff format --quiet --check .

types: deps
	$(Q)$(BIN)/mypy --no-error-summary

unit: deps
	$(Q)$(PYTEST) $(PURE) $(ARGS)

test: deps uml style types ## everything, with real packets in real namespaces, on this kernel and in User Mode Linux
	$(Q)$(PYTEST) $(ARGS)

# One guest at a time: emulated processors share the real ones, and slow ones run into the cases' patience.
test-vm: deps vm ## a virtual machine, and all packet cases in it; hours under emulation; ARGS="-k cluster-ip"
	$(Q)TESTBED_CASE_KERNELS=vm $(BIN)/pytest -n 1 --timeout 1200 tests/kernel/test_vm.py tests/net/test_cases.py $(ARGS)

bench: deps ## measure, and write results/<run>/report.html
	$(Q)$(BIN)/testbed bench scenarios/first-light $(ARGS)

bench-%: deps ## run benchmarks/bench_<name>.py, with ARGS="..."
	$(Q)$(BIN)/python benchmarks/bench_$(subst -,_,$*).py $(ARGS)

soak-churn: deps ## 10,000 changes of Services under traffic; ARGS="--changes 500 --option variant=legacy"
	$(Q)$(BIN)/python -m tests.net.churn.run $(ARGS)

soak-kills: deps ## 100 rounds of kill -9 at random moments: nothing may stay; ARGS="--rounds 10 --seed 3"
	$(Q)$(BIN)/python -m tests.net.kills.run $(ARGS)

fuzz: deps ## damaged manifests and requests for a minute; ARGS="--seconds 600 --seed 1"
	$(Q)$(BIN)/python -m tests.fuzz.run $(ARGS)

golden: deps ## rewrite the golden files; then judge the difference that git shows
	$(Q)TESTBED_GOLDEN=write $(PYTEST) $(PURE) $(ARGS)
	$(Q)git --no-pager diff --stat -- tests

clean: ## remove build output and caches; results and .venv stay
	$(Q)rm -rf build .mypy_cache .ruff_cache .hypothesis .pytest_cache *.egg-info
	$(Q)find testbed tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
