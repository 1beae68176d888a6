"""The helper names of the Challenge's scripts, handed on from `ecg`: headers, recordings, outputs.

The names from `is_number` on have the meaning that they have in the 2021 Challenge's helper code.
"""

from __future__ import annotations

import os
import sys

import numpy as np

from ecg.io.challenge_2021 import (
    choose_leads,
    four_leads,
    get_adc_gains,
    get_age,
    get_baselines,
    get_frequency,
    get_labels,
    get_leads,
    get_num_leads,
    get_num_samples,
    get_recording_id,
    get_sex,
    is_finite_number,
    is_integer,
    is_number,
    lead_sets,
    load_recording,
    six_leads,
    sort_leads,
    three_leads,
    twelve_leads,
    two_leads,
)
from ecg.io.errors import RecordingError
from ecg.io.files import remove_leftovers, write_file
from ecg.io.folders import DATABASES, find_challenge_files, find_headers, get_database
from ecg.io.formats import find_recordings
from ecg.io.header import Header, load_header, parse_header, read_header
from ecg.io.recording import describe_failure, read_recording, to_millivolts
from ecg.labels.classes import SCORED_CLASSES
from ecg.leads import LEADS
from ecg.scoring.output_files import load_outputs, save_outputs

# "np", "os" and "sys" are here because the organisers' scripts get them through `from helper_code import *`.
__all__ = [  # noqa: RUF022 (by subject, not by letter)
    "LEADS", "twelve_leads", "six_leads", "four_leads", "three_leads", "two_leads", "lead_sets", "sort_leads",
    "SCORED_CLASSES", "DATABASES", "get_database",
    "Header", "RecordingError", "parse_header", "read_header", "read_recording", "to_millivolts", "describe_failure",
    "find_headers", "find_recordings", "find_challenge_files", "load_header", "load_recording", "choose_leads",
    "get_recording_id", "get_leads", "get_num_leads", "get_frequency", "get_num_samples", "get_adc_gains",
    "get_baselines", "get_age", "get_sex", "get_labels",
    "write_file", "remove_leftovers", "save_outputs", "load_outputs",
    "is_number", "is_finite_number", "is_integer", "np", "os", "sys",
]  # fmt: skip
