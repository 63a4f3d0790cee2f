# `make quickstart` and `make test` are all a newcomer needs. VENV=folder chooses the environment,
# PYTHON=python3.12 the interpreter it is made with.

VENV ?= .venv
PYTHON ?=
GRPC_VENV ?= .venv-protos
BEAM_VENV ?= .venv-beam
RUN = $(abspath $(VENV))/bin/python

.PHONY: help quickstart tour tour-docs test test-slow test-beam fuzz check lint format protos check-protos \
	fields check-fields bench matrix clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/.installed: setup.py scripts/make_venv.sh
	PYTHON=$(PYTHON) scripts/make_venv.sh $(VENV)

quickstart: $(VENV)/.installed ## data, training, evaluation, export and prediction, in 15 minutes
	PYTHON=$(RUN) scripts/quickstart.sh

$(VENV)/.tour: $(VENV)/.installed
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[tour]'
	touch $@

tour: $(VENV)/.tour ## a look into a network at work on a photograph: tour_run/how_it_works.md
	$(RUN) -m object_detection.tour --output=tour_run

tour-docs: tour ## docs/how_it_works.md and its pictures, anew from the network of `make tour`
	$(RUN) -m object_detection.tour --work_dir=tour_run --output=docs

# Of pytest-xdist a worker that was started in place of a crashed one can be waited for without end.
PYTEST = -m pytest -n 2 --dist loadfile --max-worker-restart=0 --durations=15

test: $(VENV)/.installed ## the tests that take seconds each
	$(RUN) $(PYTEST)

test-slow: $(VENV)/.installed ## the tests that take longer
	$(RUN) $(PYTEST) -m slow

fuzz: $(VENV)/.installed ## 10,000 damaged inputs of each kind: records, annotations, configs, weights, masks
	$(RUN) tests/fuzz/harness.py --count=10000

$(BEAM_VENV)/.installed: setup.py scripts/make_venv.sh
	PYTHON=$(PYTHON) EXTRAS=test,beam scripts/make_venv.sh $(BEAM_VENV)

# Apart, for Beam brings protobuf 6 with it.
test-beam: $(BEAM_VENV)/.installed ## the tests of conversion as an Apache Beam pipeline
	$(abspath $(BEAM_VENV))/bin/python -m pytest tests/datasets/test_beam_conversion.py \
		tests/dataset_tools/test_beam_command.py

lint: $(VENV)/.installed
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check

format: $(VENV)/.installed ## what ruff can put in order by itself
	$(RUN) -m ruff check --fix
	$(RUN) -m ruff format

check: lint check-protos check-fields test ## everything a change has to pass

$(GRPC_VENV)/.installed: scripts/make_protos.py
	$(if $(PYTHON),$(PYTHON),python3) -m venv --clear $(GRPC_VENV)
	$(GRPC_VENV)/bin/python -m pip install --quiet --disable-pip-version-check grpcio-tools==1.76.0
	touch $@

protos: $(GRPC_VENV)/.installed ## the generated modules, anew from protos/*.proto
	$(GRPC_VENV)/bin/python scripts/make_protos.py

check-protos: $(GRPC_VENV)/.installed ## whether the generated modules are those of protos/*.proto
	$(GRPC_VENV)/bin/python scripts/make_protos.py --check

fields: $(VENV)/.installed ## docs/fields.md, what becomes of every field of a config, anew
	$(RUN) scripts/make_field_table.py

check-fields: $(VENV)/.installed ## whether docs/fields.md is that of the code
	$(RUN) scripts/make_field_table.py --check

bench: $(VENV)/.installed ## times everything, beside others where there are any: build/bench.md
	$(RUN) benchmarks/compare.py --output=build/bench.md

matrix: ## imports and fast tests on every supported Python, TensorFlow and protobuf
	scripts/matrix.sh

clean: ## removes the environments and the files of quickstart and tour
	rm -rf $(VENV) $(GRPC_VENV) $(BEAM_VENV) .venv-matrix quickstart_run tour_run build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
