#!/usr/bin/env python
"""The Challenge score of a folder of outputs: the 2020 measures, as functions on arrays and as a command.

\b
examples:
  python evaluate_model.py labels outputs                              print the scores
  python evaluate_model.py labels outputs scores.csv                   write them to a file
  python evaluate_model.py labels outputs scores.csv class_scores.csv  and the scores of each class to another

LABELS is a folder of header files (A0001.hea, ...), OUTPUTS a folder with one CSV file (A0001.csv) for each.
"""

from __future__ import annotations

from ecg.commands import score
from ecg.labels.classes import EQUIVALENT_CLASSES, NORMAL_CLASS, SCORED_CLASSES, encode_labels
from ecg.runtime.command import Command, leave
from ecg.scoring.challenge import (
    EvaluationError,
    Scores,
    compute_accuracy,
    compute_auc,
    compute_beta_measures,
    compute_challenge_metric,
    compute_f_measure,
    compute_observed_score,
    compute_scores,
    compute_sensitivity_specificity,
    load_weights,
)
from ecg.scoring.score_folder import (
    evaluate_model,
    find_headers,
    find_outputs,
    format_class_scores,
    format_class_table,
    format_scores,
    load_labels,
    load_outputs,
)

__all__ = [
    "EQUIVALENT_CLASSES",
    "NORMAL_CLASS",
    "SCORED_CLASSES",
    "EvaluationError",
    "Scores",
    "compute_accuracy",
    "compute_auc",
    "compute_beta_measures",
    "compute_challenge_metric",
    "compute_f_measure",
    "compute_observed_score",
    "compute_scores",
    "compute_sensitivity_specificity",
    "encode_labels",
    "evaluate_model",
    "find_headers",
    "find_outputs",
    "format_class_scores",
    "format_class_table",
    "format_scores",
    "load_labels",
    "load_outputs",
    "load_weights",
    "main",
]

main = Command("evaluate_model.py", params=score.main.params, callback=score.main.callback, help=__doc__)

if __name__ == "__main__":
    leave(main())
