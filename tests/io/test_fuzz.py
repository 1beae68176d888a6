"""Damaged recordings, thousands of them, through the whole driver: an output, or a clear error and an empty output.

A few hundred cases as part of the tests; `FUZZ_CASES=10000 pytest tests/test_fuzz.py` for more.
"""

import os
import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

import helper_code
from commands import write_recordings
from ecg.inference import run_folder as driving
from ecg.inference.run_folder import ClassifyOptions
from ecg.model_folder.folder import load_model
from ecg.runtime.device import pick_device
from ecg.training.trainer import train
from test_helper_code_faults import PIECES
from tiny import heart_like, quick, tiny, write_recording

SIGNAL = heart_like(2, fs=100)
CASES = int(os.environ.get("FUZZ_CASES", "250"))

# What to do to a file: put bytes or a piece of header text at a place, cut it there, or replace all of it.
PLACES = st.integers(0, 300) | st.integers(0, 30000)
DAMAGE = st.one_of(
    st.tuples(st.just("put"), PLACES, st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("put"), PLACES, PIECES.map(lambda text: text.encode(errors="surrogatepass"))),
    st.tuples(st.just("cut"), PLACES, st.just(b"")),
    st.tuples(st.just("all"), st.just(0), st.binary(max_size=200)),
)


def damaged(data: bytes, damage: list[tuple[str, int, bytes]]) -> bytes:
    for kind, place, content in damage:
        place %= len(data) + 1
        data = {"put": data[:place] + content + data[place + len(content) :], "cut": data[:place], "all": content}[kind]
    return data


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("fuzz")
    write_recordings(place / "data", 5)
    train(tiny(), place / "data", place / "model", quick())
    return place, load_model(place / "model", {"tiny": tiny}, pick_device("cpu"))


@pytest.mark.slow
@given(header=st.lists(DAMAGE, max_size=3), signal=st.lists(DAMAGE, max_size=3), compressed=st.booleans())
@example(header=[("put", 38, b"X")], signal=[], compressed=False)  # one signal line names another file
@settings(max_examples=CASES, deadline=None, derandomize=True, database=None)
def test_any_damage_to_a_recording_leaves_an_output_or_a_clear_error(place, header, signal, compressed):
    folder, out, model = place[0] / "in", place[0] / "out", place[1]
    file = write_recording(folder, "A0001", SIGNAL, fs=100)
    if compressed:
        savemat(folder / "A0001.mat", {"val": (SIGNAL * 1000).astype(np.int16)}, do_compression=True)
    file.write_bytes(damaged(file.read_bytes(), header))
    mat = file.with_suffix(".mat")
    mat.write_bytes(damaged(mat.read_bytes(), signal))
    outcome = driving.run_folder(model, folder, out, ClassifyOptions(workers=1))
    assert outcome.classified + len(outcome.problems) == 1
    name, classes, labels, scores = helper_code.load_outputs(out / "A0001.csv")
    assert (name, classes) == ("A0001", model.method.classes)
    if outcome.classified:
        assert any(labels) and all(0 <= score <= 1 for score in scores)
    else:
        assert not any(labels) and not any(scores)
        assert re.search(r"A0001\S*: (\S+: )?expected .*, found ", outcome.problems[0], re.DOTALL), outcome.problems
