# make demo   simulated recordings, judged by the shipped model and scored
# make test   lint, types and tests
# Both make .venv first, which needs Python 3.11 and takes a few minutes once.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PY := .venv/bin/python

.PHONY: demo test clean

demo: .venv/made
	rm -rf demo
	$(PY) -m ecg.simulator demo/recordings --records 24 --seed 7
	$(PY) driver.py model demo/recordings demo/outputs
	$(PY) evaluate_model.py demo/recordings demo/outputs --classes

test: .venv/made
	$(PY) -m ruff check .
	$(PY) -m mypy .
	$(PY) -m pytest

.venv/made: requirements.txt tests/requirements.txt
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet -r requirements.txt -r tests/requirements.txt
	touch $@

clean:
	rm -rf .venv demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
