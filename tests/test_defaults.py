"""What holds where a caller leaves an argument out: documents, earlier figures and stored models rely on it."""

import math
from importlib import import_module
from inspect import signature

import pytest

from ecg.runtime.shards import WHOLE

RUN = {"resume": False, "shard": WHOLE}
BOOTSTRAP = {"repeats": 1000, "seed": 0}
WHO = {"age": math.nan, "sex": "Unknown"}
ADULT_BY_CLINICAL_LIMITS = {"definitions": "clinical"}
DEFAULTS = {
    "io.files read_file": {"most": 1 << 30},
    "io.folders find_challenge_files": {"recursive": False},
    "io.inputs as_recording": {"sampling_frequency": None, "unit": "mV"},
    "io.label_tables load_labels": {"least_likelihood": 0.0},
    "io.label_tables read_label_table": {"least_likelihood": 0.0},
    "io.recording Recording": {"name": "recording", **WHO, "labels": (), "notes": (), "format": "array", "path": None},
    "io.recording Recording.from_array": {"unit": "mV", "name": "recording", **WHO},
    "io.stored make_header": {"baselines": None, **WHO, "birth": None, "acquired": None, "labels": None, "notes": ()},
    "measurements.boundary_network read_boundaries": {"share": 0.5},
    "measurements.types Beats": {"n_lost_spikes": 0, "n_blocked_p": 0},
    "decisions.adaptation Adaptation": {"thresholds": None, "definitions": None},
    "decisions.adaptation cross_validate": {"rewards": None},
    "decisions.calibration fit_calibration": {"prior": 1.0},
    "decisions.thresholds coordinate_ascent": {"candidates": None, "passes": 1},
    "decisions.thresholds scores_at": {"strict": False},
    "scoring.challenge compute_beta_measures": {"beta": 2},
    "scoring.challenge compute_challenge_metric": {"normal_class": "426783006"},
    "scoring.statistics auroc_interval": BOOTSTRAP,
    "scoring.statistics bootstrap_interval": BOOTSTRAP,
    "scoring.statistics difference_interval": BOOTSTRAP,
    "interpretation.contradictions contradictions": {"age": math.nan, **ADULT_BY_CLINICAL_LIMITS},
    "interpretation.interpret interpret": {"opinions": None, **ADULT_BY_CLINICAL_LIMITS},
    "interpretation.criteria Verdict": {"modifiers": (), "evidence": (), "leads": (), "name": "", "always": False},
    "examination.convert_folder ConvertOptions": {
        **RUN,
        "to": "challenge",
        "labels": None,
        "keep_identity": False,
        "anonymize": False,
    },
    "examination.measure_folder MeasureOptions": {**RUN, "beats": None, "json_file": None},
    "examination.examine_folder Run": {"group_size": 1},
    "labels.diagnoses load_diagnoses": {"name": "challenge-2020"},
    "labels.diagnoses Diagnosis": {"prevalence": math.nan, "is_normal": False, "by_size": False},
    "model_folder.model Model": {"calibration": None, "adaptation": None, "definitions": "clinical"},
    "model_folder.schema Config": {
        "leads": None,
        "masked_leads": False,
        "diagnoses": None,
        "definitions": "clinical",
        "calibration": None,
        "adaptation": None,
    },
    "decisions.conventions LimitRow": {"above": None, "below": None, "implied": False},
    "inference.classifier load_model": {"model": None, "device": "auto"},
    "inference.classifier Classifier.classify": {"sampling_frequency": None, "unit": "mV"},
    "inference.interpret_recordings interpret_recordings": {"models": (), **ADULT_BY_CLINICAL_LIMITS},
    "inference.interpret_recordings interpret_recording": {"models": (), **ADULT_BY_CLINICAL_LIMITS},
    "inference.predict batching": {"deterministic": False},
    "inference.predict predict": {"autocast": False, "deterministic": False},
    "inference.run_folder ClassifyOptions": {**RUN, "deterministic": False},
    "training.adapt_model adapt_model": {"labels": None, "least_likelihood": 0.0, "seed": 2020, "device": "auto"},
    "training.calibrate_model calibrate_model": {"labels": None, "least_likelihood": 0.0},
    "training.dataset build_dataset": {"limit": None, "statements": None, "resume": False, "shape_only": ()},
    "training.options TrainingOptions": {
        "members": None,
        "epochs": None,
        "seed": 2020,
        "device": "auto",
        "workers": None,
        "limit": None,
        "labels": None,
        "resume": False,
        "spread_members": False,
        "start": None,
        "shape_only": (),
        "cache": None,
    },
    "training.train_folder train_folder": {"default_method": "hybrid", "least_likelihood": 0.0},
    "report.ecg_paper paper": {"off": (), "marked_beats": ()},
    "report.findings findings": {"decide": True},
    "report.recordings Options": {"layout": "3x4", "attribution": False, "pdf": False, "single": False, "note": ""},
}


@pytest.mark.parametrize("place", DEFAULTS)
def test_what_holds_where_nothing_is_said(place):
    module, _, name = place.partition(" ")
    found = import_module(f"ecg.{module}")
    for part in name.split("."):
        found = getattr(found, part)
    parameters = signature(found).parameters
    for key, value in DEFAULTS[place].items():
        default = parameters[key].default
        assert default == value or (default != default and value != value), key
        assert type(default) is type(value), key
