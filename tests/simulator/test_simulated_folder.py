"""Folders of simulated recordings: any number of them ends, in parts and after a stop, to the same bytes."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from commands import ENVIRONMENT, ROOT
from ecg.commands.simulate import main
from ecg.simulator import folder as simulated_folder
from ecg.simulator import simulate as simulating
from ecg.simulator.diagnoses import DIAGNOSES
from ecg.simulator.draws import draw_parameters
from ecg.simulator.folder import Options, simulate_folder
from ecg.simulator.simulate import SETS, lay_down, simulate, simulate_recording
from ecg.simulator.statements import draw_statement

SHORT = Options(seed=3, sampling_frequency=100, seconds=5)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


def test_a_recording_whose_first_heart_has_no_room_for_its_beats_gets_another_heart():
    """Number 3278 of seed 5: at 48 per minute three beats in a row found no room in 10 s."""
    assert DIAGNOSES[(3278 - 1) % 24] == "PVC"
    rng = np.random.default_rng([5, 3278])
    rng.integers(2**63, size=2)  # the seed of the noise
    assert lay_down(draw_parameters(rng, "PVC"), rng, 10)[0].pvc == 0
    found = simulate_recording(5, 3278, sampling_frequency=100)
    assert found.parameters.pvc > 0
    assert "427172004" in found.labels


@pytest.mark.parametrize("seconds", [3, 4, 5, 10])
@pytest.mark.parametrize("name", ["PAC", "PVC"])
def test_premature_beats_are_found_room_for_by_any_seed(monkeypatch, name, seconds):
    """Without signals: 150 seeds for each length, of which some need a second heart."""
    draws = []
    monkeypatch.setattr(simulating, "record", lambda parameters, *rest: parameters)
    monkeypatch.setattr(simulating, "lay_down", lambda *given: draws.append(0) or lay_down(*given))
    for k in range(150):
        assert getattr(simulate(np.random.default_rng([7, k]), name, 500, seconds), name.lower()) > 0
    assert len(draws) > 150 or seconds > 4


@pytest.mark.parametrize("name", [*DIAGNOSES, *SETS["statements"][24:]])
def test_a_heart_is_found_for_every_diagnosis_by_any_seed(name):
    for k in range(60):
        rng = np.random.default_rng([8, k])
        assert draw_parameters(rng, name) if name in DIAGNOSES else draw_statement(rng, name)


def test_what_can_not_be_made_is_named_and_the_others_are_written(tmp_path, capsys):
    arguments = [str(tmp_path), "--records", "24", "--seconds", "1", "--fs", "100"]
    assert main(arguments) == 1
    said = capsys.readouterr()
    name = f"SIM{DIAGNOSES.index('PVC') + 1:05d}"
    assert f"{name}: seconds: expected a recording long enough for PVC, found 1 s" in said.err
    written = {path.stem for path in tmp_path.glob("*.hea")}
    assert f"{len(written)} recordings in {tmp_path}" in said.out
    assert name not in written
    assert len(written) + said.err.count("long enough") == 24
    assert len(written) >= 22


def test_parts_make_the_same_bytes_as_the_whole(tmp_path):
    simulate_folder(tmp_path / "whole", range(1, 31), SHORT)
    common = ["--records", "30", "--seed", "3", "--fs", "100", "--seconds", "5"]
    for part in ("1/3", "2/3", "3/3"):
        assert main([str(tmp_path / "parts"), *common, "--shard", part]) == 0
    whole = contents(tmp_path / "whole")
    assert contents(tmp_path / "parts") == whole
    assert main([str(tmp_path / "late"), *common, "--from", "29"]) == 0
    assert sorted(contents(tmp_path / "late")) == ["SIM00029.hea", "SIM00029.mat", "SIM00030.hea", "SIM00030.mat"]
    assert contents(tmp_path / "late").items() <= whole.items()


def test_a_part_is_made_anew(tmp_path):
    simulate_folder(tmp_path, range(1, 4), SHORT)
    before = contents(tmp_path)
    (tmp_path / "SIM00002.mat").write_bytes(b"spoilt")
    assert simulate_folder(tmp_path, [2], SHORT).written == 1
    assert contents(tmp_path) == before


def test_going_on_keeps_what_is_whole_and_makes_the_rest(tmp_path, monkeypatch):
    simulate_folder(tmp_path / "whole", range(1, 7), SHORT)
    simulate_folder(tmp_path / "stopped", range(1, 4), SHORT)
    (tmp_path / "stopped" / "SIM00003.hea").unlink()  # stopped between signal and header
    (tmp_path / "stopped" / "SIM00002.mat").unlink()
    made = []
    monkeypatch.setattr(
        simulated_folder,
        "simulate_recording",
        lambda seed, k, *rest: made.append(k) or simulate_recording(seed, k, *rest),
    )
    outcome = simulate_folder(tmp_path / "stopped", range(1, 7), SHORT, resume=True)
    assert (outcome.kept, outcome.written, made) == (1, 5, [2, 3, 4, 5, 6])
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        {"seed": 4},
        {"diagnosis": "AF"},
        {"diagnoses": "statements"},
        {"sampling_frequency": 250.0},
        {"seconds": 6.0},
        {"dialect": "2021"},
    ],
    ids=str,
)
def test_recordings_made_with_other_options_are_not_mixed(tmp_path, change, resume):
    simulate_folder(tmp_path, [1], SHORT)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"expected recordings made with .* found those made with"):
        simulate_folder(tmp_path, [1, 2], replace(SHORT, **change), resume=resume)
    assert contents(tmp_path) == before
    (tmp_path / ".simulate.json").unlink()
    with pytest.raises(ValueError, match="options that nothing says"):
        simulate_folder(tmp_path, [1, 2], SHORT, resume=resume)


def test_a_killed_run_goes_on(tmp_path):
    arguments = [str(tmp_path / "out"), "--records", "200", "--seed", "3", "--fs", "100", "--seconds", "5"]
    command = [sys.executable, "-m", "ecg", "simulate", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT)
    while not (tmp_path / "out" / "SIM00002.hea").exists() and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 2 <= len(list((tmp_path / "out").glob("*.hea"))) < 200
    small = [argument if argument != "200" else "12" for argument in arguments]
    assert main([*small, "--resume"]) == 0
    simulate_folder(tmp_path / "whole", range(1, 13), SHORT)
    found = contents(tmp_path / "out")
    assert contents(tmp_path / "whole").items() <= found.items()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "5", "--records", "4"], "--from 5: expected a number up to --records 4"),
        (["--from", "0"], "'--from': 0 is not in the range"),
        (["--seed", "-1"], "'--seed': -1 is not in the range"),
        (["--shard", "3/2"], "'--shard': 3/2: expected K/N"),
        (["--fs", "99"], "expected 100 to 1000 Hz, found 99"),
        (["--diagnosis", "flu"], "found 'flu'"),
    ],
)
def test_what_can_not_be_made_at_all_is_said_before_a_folder_is(tmp_path, capsys, words, message):
    assert main([str(tmp_path / "out"), *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
