# make book, make test: all that a reader needs. Both make their own virtual environment in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# without CI=true the browser tests skip where there is no Chromium
WORKERS ?= 2
ONE := OMP_NUM_THREADS=1

.PHONY: book test bench weights lint lock clean pages
.DELETE_ON_ERROR:

book: pages
	@echo "The book is built. Open this page in a browser:"
	@echo "  file://$(CURDIR)/_build/html/index.html"

# The whole book as one PDF, printed by a headless Chromium from the pages that `make book` has built.
.PHONY: pdf
pdf: $(READY)
	@test -f _build/html/index.html || $(MAKE) pages
	$(BIN)/python book/pdf.py --out _build/book.pdf

$(READY): requirements.txt requirements-lock.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit(f"This project needs Python 3.11, 3.12 or 3.13, and {sys.executable} is {v[0]}.{v[1]}. Name another one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps -e .
	@touch $@

# Every page is executed anew: a cache keyed on the cells alone would show the results of an older library.
# The tests have the exercises answered on the way: ANSWERED names the folder of what came of that.
EXECUTED := _build/executed
pages: $(READY)
	@rm -rf _build/html _build/.doctrees _build/jupyter_execute
	$(ONE) $(BIN)/python book/execute.py $(EXECUTED) --workers $(WORKERS) $(if $(ANSWERED),--answers $(ANSWERED) tests/book)
	MEDPRIV_EXECUTED=$(CURDIR)/$(EXECUTED) MEDPRIV_WORKERS=$(WORKERS) $(BIN)/jupyter-book build . -W -n --keep-going
	@rm -rf $(EXECUTED)

# A chapter is executed twice: for the book, where its exercises are answered and a line of the library is changed too, and
# by nbval, on the instructions of an older processor and without what nbval does not compare: pictures. A test compares
# the two.
ANSWERS := $(CURDIR)/_build/answers
IPYTHON := $(CURDIR)/_build/ipython
SPLIT := tests/book/test_answers.py tests/book/test_stored_outputs.py
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --durations=10

test: $(READY)
	$(MAKE) lint
	$(ONE) $(PYTEST) tests --ignore tests/book --dist loadscope --no-loadscope-reorder
	$(MAKE) pages ANSWERED=$(ANSWERS)
	$(PYTEST) tests/book $(SPLIT:%=--ignore %) --dist worksteal
	$(ONE) MEDPRIV_ANSWERS=$(ANSWERS) $(PYTEST) $(SPLIT) --dist worksteal
	@mkdir -p $(IPYTHON)/profile_default
	@cp tests/book/without_pictures.py $(IPYTHON)/profile_default/ipython_kernel_config.py
	$(ONE) IPYTHONDIR=$(IPYTHON) MEDPRIV_WIDGETS=first ONEDNN_MAX_CPU_ISA=AVX2 $(PYTEST) --nbval --nbval-current-env chapters --dist loadscope

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python book/notebooks.py check

# Where Colab finds the course: one setting, in _config.yml and in the first cell of every notebook.
.PHONY: set-repository
set-repository: $(READY)
	$(BIN)/python book/notebooks.py set-repository $(URL) $(if $(BRANCH),--branch $(BRANCH))

bench: $(READY)
	$(BIN)/python benchmarks/run.py

# The cohorts that ship and all that is trained for them, from scratch: hours without a GPU; stopped, it goes on.
WEIGHTS ?= runs/weights
CODES := --set medical=8 --set other=16 --set noise=0.3 --set norm=batch --width 32 --rounds 3500
weights: $(READY)
	@mkdir -p $(WEIGHTS)
	$(BIN)/python data_scripts/train_expert.py --out $(WEIGHTS) --population-size 6000 --no-cohorts
	$(BIN)/python data_scripts/train_sign_transfer.py --out $(WEIGHTS) --scenes 2160 --unseen 144 --steps 11000 --strangers 1000
	for kind in confounded crossed; do \
	  $(BIN)/python data_scripts/make_cohort.py --kind $$kind --out $(WEIGHTS)/$$kind.npz && \
	  $(BIN)/medpriv fit --cohort $(WEIGHTS)/$$kind.npz --out $(WEIGHTS)/$$kind && \
	  $(BIN)/python data_scripts/train_judges.py --cohort $(WEIGHTS)/$$kind.npz --out $(WEIGHTS)/$$kind && \
	  $(BIN)/python data_scripts/train_disentangled.py --cohort $(WEIGHTS)/$$kind.npz --out $(WEIGHTS)/$$kind $(CODES) || exit 1; \
	done
	$(BIN)/python data_scripts/train_attackers.py --out $(WEIGHTS)/confounded
	$(BIN)/python data_scripts/train_square.py --out $(WEIGHTS)

lock: $(READY)
	@{ sed -n '/^#/p' requirements-lock.txt; \
	   $(BIN)/python -m pip freeze --exclude-editable | grep -vE '^(nvidia-|cuda-|triton==)'; } > requirements-lock.new
	@mv requirements-lock.new requirements-lock.txt
	$(BIN)/python data_scripts/hash_requirements.py

clean:
	rm -rf $(VENV) _build build *.egg-info .pytest_cache .ruff_cache .hypothesis .mypy_cache

# One notebook, alone in an empty folder, with the versions that Colab has. Installs into a temporary folder.
.PHONY: test-colab
test-colab: $(READY)
	$(BIN)/python tests/book/colab.py $(NOTEBOOK)

# Follows every external link; needs the network, runs weekly.
.PHONY: links
links: $(READY)
	$(BIN)/jupyter-book build . --builder linkcheck
