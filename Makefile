# make demo       simulated recordings, classified by the shipped model and scored, with a report to open in a browser
#                 make demo DATA=folder: a report of one's own recordings (any format of docs/formats.md)
# make test       format, lint, types and the fast tests
# make test-slow  the slow tests: faults in processes, kill and resume, fuzzing, whole trainings
# make test-all   both
# Each makes .venv first, which needs Python 3.11 and takes a few minutes once.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PY := .venv/bin/python

SIMULATED := These recordings are simulated, and the model was trained on such recordings too: its score is about 0.78 \
	on them, but about 0.6 on real patients, and less where a hospital follows another convention.

# One thread a process. Byte code is kept: without it each of a hundred processes would compile the package again.
ONE := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=

.PHONY: demo test test-slow test-all clean

demo: .venv/made
ifdef DATA
	rm -rf demo/report
	$(PY) -m ecg report "$(DATA)" demo/report --allow-failures
else
	rm -rf demo
	$(PY) -m ecg simulate demo/recordings --records 24 --seed 7
	$(PY) -m ecg report demo/recordings demo/report --note "$(SIMULATED)"
	$(PY) evaluate_model.py demo/recordings demo/report/outputs --classes
	@echo
	@echo "$(SIMULATED)"
endif
	@echo "Open demo/report/index.html in a browser."

test: .venv/made
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy . & types=$$!; $(ONE) $(PY) -m pytest -n 2 --dist loadfile -m "not slow" && wait $$types

test-slow: .venv/made
	$(PY) -m pytest -n 2 -m slow

test-all: test test-slow

.venv/made: requirements.txt tests/requirements.txt
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet -r requirements.txt -r tests/requirements.txt
	touch $@

clean:
	rm -rf .venv demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
