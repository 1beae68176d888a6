# make demo       simulated recordings, judged by the shipped model and scored
# make test       format, lint, types and the fast tests
# make test-slow  the slow tests: faults in processes, kill and resume, fuzzing, whole trainings
# make test-all   both
# Each makes .venv first, which needs Python 3.11 and takes a few minutes once.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PY := .venv/bin/python

.PHONY: demo test test-slow test-all clean

demo: .venv/made
	rm -rf demo
	$(PY) -m ecg.simulator demo/recordings --records 24 --seed 7
	$(PY) driver.py model demo/recordings demo/outputs
	$(PY) evaluate_model.py demo/recordings demo/outputs --classes

test: .venv/made
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy .
	$(PY) -m pytest -n 2 -m "not slow"

test-slow: .venv/made
	$(PY) -m pytest -n 2 -m slow

test-all: test test-slow

.venv/made: requirements.txt tests/requirements.txt
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet -r requirements.txt -r tests/requirements.txt
	touch $@

clean:
	rm -rf .venv demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
