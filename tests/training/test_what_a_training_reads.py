"""What a training knows of recorded and simulated recordings, and which ones it leaves out."""

import hashlib
import json
from dataclasses import asdict, replace
from errno import ENOSPC
from types import SimpleNamespace

import numpy as np
import pytest

from ecg.io.errors import RecordingError
from ecg.io.formats import read
from ecg.io.label_tables import LabelTable, read_label_table
from ecg.labels.classes import CLASSES, encode_labels
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses, join
from ecg.methods.base import as_scored
from ecg.methods.reduced_leads import MASKED_SETS, without_chest_leads
from ecg.simulator.simulate import simulate_recording
from ecg.training import dataset as reading
from ecg.training.dataset import build_dataset
from tiny import heart_like, tiny, write_recording

NSR, AF, STACH, PVC = "426783006", "164889003", "427084000", "164884008"
OWN = Diagnoses("own", ("code,size", "LOW,1", "ODD,"))


def prepared(signal, sampling_frequency):
    return 1000 * np.nan_to_num(signal)[:, :: round(sampling_frequency / 50)]


def counted(examination):
    recording = examination.recording
    known = recording.age + 1000 * (recording.sex == "Female") + recording.sampling_frequency / 8192
    return np.array([np.isnan(recording.signal[:, 0]).sum(), known, np.nanmax(recording.signal)], np.float32)


def smaller(signal, features):
    return signal / 2, features + 100


def method(diagnoses=CHALLENGE_2020, **changes):
    return tiny(diagnoses, preprocess=prepared, features=counted, window=4096, **changes)


@pytest.fixture
def folder(tmp_path):
    """Recordings here and below, of known and unknown databases; some that can't be used, or not be told apart."""
    data = tmp_path / "data"
    for seed, (place, name, dx) in enumerate(
        [(".", "HR00003", NSR), ("deep/er", "HR00001", f"{AF},{STACH}"), ("clinic", "r7", NSR), (".", "r8", AF),
         ("clinic", "E00002", f"{NSR},{PVC},59118001"), (".", "unscored", f"{PVC},55"), ("clinic", "lead", NSR)]
    ):  # fmt: skip
        signal = heart_like(2 + seed % 3, seed=seed)
        write_recording(data / place, name, signal, dx=dx, leads=("I", "V2") if name == "lead" else reading_leads())
    write_recording(data, "twin", heart_like(2, seed=0), dx=AF)
    write_recording(data / "zz", "r7", heart_like(2, seed=20), dx=AF)
    write_recording(data, "bad", heart_like(2, seed=21)).with_suffix(".mat").write_bytes(b"junk")
    return data


def reading_leads():
    return ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


# Where each is, and what becomes of it: database, codes.
USED = {
    "E00002": ("clinic", "G12EC", (NSR, PVC, "59118001")),
    "HR00001": ("deep/er", "PTB-XL", (AF, STACH)),
    "HR00003": (".", "PTB-XL", (NSR,)),
    "r7": ("clinic", "clinic", (NSR,)),
    "r8": (".", "unknown", (AF,)),
}


def expected_of(path, given, sets=()):
    """Signal and features as they are stored, of a recording and of fewer leads."""
    recording = read(path)
    signals = [recording.signal, *(without_chest_leads(recording.signal, leads) for leads in sets)]
    known = recording.age + 1000 * (recording.sex == "Female") + recording.sampling_frequency / 8192
    rows = [[np.isnan(each[:, 0]).sum(), known, np.nanmax(each)] for each in signals]
    return given.input.preprocess(recording.signal, recording.sampling_frequency), np.float32(rows)


@pytest.mark.parametrize(
    ("sets", "lacking"),
    [((), "all twelve leads, found I, V2"), (MASKED_SETS, "the leads I, II, found I, V2 (not II)")],
)
def test_each_recording_is_stored_with_all_that_is_known_of_it(folder, tmp_path, capsys, sets, lacking):
    given = method(masked_leads=sets)
    found, problems = build_dataset(given, folder, tmp_path / "cache", workers=1)
    assert problems == [
        f"{folder / 'bad.mat'}: expected a MATLAB file of level 4 to 7.2, found 'junk'",
        f"{folder / 'clinic' / 'lead.hea'}: expected {lacking}",
        f"{folder / 'zz' / 'r7.hea'}: another recording of this name was read from {folder / 'clinic'}",
        f"{folder / 'twin.hea'}: same samples as HR00003",
    ]
    assert found.unused == 1 and found.unknown == {PVC: 2, "55": 1} and found.n_recorded == len(found) == 5
    place = 0
    for row, (name, (where, database, codes)) in enumerate(USED.items()):
        path = folder / where / f"{name}.hea"
        recording = read(path)
        signal, features = expected_of(path, given, sets)
        np.testing.assert_allclose(found.signal(row), signal)
        np.testing.assert_array_equal(found.features(row), features[0])
        np.testing.assert_array_equal(found.masked_features(row), features[1:])
        entry = asdict(found.entries[row])
        targets, digest = entry.pop("targets"), hashlib.sha256(recording.signal.tobytes()).hexdigest()
        assert entry == {
            "recording_id": name,
            "database": database,
            "fold": 0,
            "labels": codes,
            "seconds": recording.signal.shape[1] / 500,
            "digest": digest,
            "start": place,
            "n_samples": signal.shape[1],
            "n_features": 3,
            "patient": "",
            "n_masked": len(sets),
        }
        assert targets == tuple(as_scored(codes, signal).tolist())
        np.testing.assert_array_equal(found.labels[row], encode_labels([codes], CLASSES, CHALLENGE_2020)[0])
        place += signal.size + features.size
    capsys.readouterr()
    again, told = build_dataset(given, folder, tmp_path / "cache", workers=1)
    assert capsys.readouterr().err == f"Using the 5 preprocessed recordings in {tmp_path / 'cache'}\n"
    assert (again.entries, told) == (found.entries, problems)
    assert (again.unused, again.unknown, again.n_recorded) == (1, found.unknown, 5)
    np.testing.assert_array_equal(again.masked_features(4), found.masked_features(4))


def test_a_table_gives_codes_patients_and_folds_where_the_folder_names_none(folder, tmp_path, capsys):
    (folder / "folds.csv").write_text("record,database,fold\nr8,Elsewhere,4\nHR00003,PTB-XL,2\n")
    rows = {"r8": ("ODD", "3", "p1"), "r7": ("LOW;ODD", "5", "p2"), "HR00001": ("ODD;rare", "", ""),
            "E00002": ("rare", "1", "p3"), "unscored": ("LOW", "0", "p2"), "bad": ("LOW", "", "")}  # fmt: skip
    text = "".join(f"{name},{','.join(row)}\n" for name, row in rows.items())
    (tmp_path / "labels.csv").write_text("record,codes,fold,patient\n" + text)
    table = read_label_table(tmp_path / "labels.csv", OWN.column_of)
    found, _ = build_dataset(method(OWN), folder, tmp_path / "cache", workers=1, statements=table)
    assert [(e.recording_id, e.database, e.fold, e.labels, e.patient) for e in found.entries] == [
        ("HR00001", "PTB-XL", 0, ("ODD", "rare"), ""),
        ("r7", "clinic", 5, ("LOW", "ODD"), "p2"),
        ("r8", "Elsewhere", 4, ("ODD",), "p1"),
        ("unscored", "unknown", 0, ("LOW",), "p2"),
    ]
    assert found.unused == 3 and found.unknown == {"rare": 2}  # E00002, and two without a row
    assert found.targets.tolist() == [[0, 1], [1, 1], [0, 1], [1, 0]]
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"{tmp_path / 'labels.csv'} has no row for 3 of 9 recordings: left out"
    assert said[1] == "folds.csv places 2 of 10 recordings; the others are placed without regard to patients"
    both = join(CHALLENGE_2020, OWN)
    table = read_label_table(tmp_path / "labels.csv", both.column_of)
    found, _ = build_dataset(method(both), folder, tmp_path / "both", workers=1, statements=table)
    assert {e.recording_id: e.labels for e in found.entries} == {
        "E00002": (NSR, PVC, "59118001", "rare"),
        "HR00001": (AF, STACH, "ODD", "rare"),
        "HR00003": (NSR,),
        "r7": (NSR, "LOW", "ODD"),
        "r8": (AF, "ODD"),
        "unscored": (PVC, "55", "LOW"),
    }


def test_a_table_by_the_numbers_of_ptb_xl_is_for_each_of_the_names_that_they_have(tmp_path):
    names = ("HR00001", "00002_lr", "00003_hr", "4")
    for seed, name in enumerate(names):
        write_recording(tmp_path / "data", name, heart_like(2, seed=seed), dx=NSR)
    numbers = ("1", "2", "3", "4")
    codes = {number: (AF,) if number in "12" else (STACH,) for number in numbers}
    folds = dict(zip(numbers, (7, 8, 9, 3), strict=True))
    patients = dict(zip(numbers, "pqpr", strict=True))
    table = LabelTable("table.csv", codes, folds, patients, is_ptb_xl=True)
    found, problems = build_dataset(method(), tmp_path / "data", tmp_path / "cache", workers=1, statements=table)
    assert not problems
    assert {entry.recording_id: (entry.labels, entry.fold, entry.patient) for entry in found.entries} == {
        "HR00001": ((AF,), 7, "p"),
        "00002_lr": ((AF,), 8, "q"),
        "00003_hr": ((STACH,), 9, "p"),
        "4": ((STACH,), 3, "r"),
    }


def test_of_a_database_whose_size_is_invented_the_shape_alone_is_stored(folder, tmp_path):
    own = method(Diagnoses("scored", ("code,size", f"{NSR},1", AF)), without_size=smaller, masked_leads=MASKED_SETS)
    found, _ = build_dataset(own, folder, tmp_path / "cache", workers=1, shape_only=("clinic", "G12EC"))
    for row, entry in enumerate(found.entries):
        where = USED[entry.recording_id][0]
        signal, features = expected_of(folder / where / f"{entry.recording_id}.hea", own, MASKED_SETS)
        invented = where == "clinic"
        np.testing.assert_allclose(found.signal(row), signal / 2 if invented else signal)
        np.testing.assert_array_equal(found.features(row), features[0] + 100 * invented)
        np.testing.assert_array_equal(found.masked_features(row), features[1:] + 100 * invented)
        assert np.isnan(found.targets[row]).tolist() == [invented, False]


def test_simulated_recordings_follow_in_their_share_and_are_those_of_the_simulator(folder, tmp_path):
    given = method(simulated_share=0.5)
    found, _ = build_dataset(given, folder, tmp_path / "cache", workers=1)
    assert (found.n_recorded, len(found)) == (5, 7)  # half of five, to the even number
    for k in (1, 2):
        made, entry = simulate_recording(2020, k), found.entries[4 + k]
        name, rate = f"simulated-{k:05d}", made.sampling_frequency
        assert (entry.recording_id, entry.database, entry.fold) == (name, "simulated", 0)
        assert entry.labels == made.labels and entry.seconds == pytest.approx(made.signal.shape[1] / rate)
        np.testing.assert_allclose(found.signal(4 + k), prepared(made.signal.astype(np.float32), rate), rtol=1e-6)
        assert found.features(4 + k)[1] == np.float32(made.age + 1000 * (made.sex == "Female") + rate / 8192)
    assert {simulate_recording(2020, k).sex for k in (1, 2, 3)} == {"Female", "Male"}
    again, _ = build_dataset(given, folder, tmp_path / "cache", workers=1)
    assert again.n_recorded == 5 and again.entries == found.entries
    other = found.with_labels_of(Diagnoses("one", ("code", NSR)))
    assert (other.n_recorded, len(other), other.unused, other.unknown) == (5, 7, found.unused, found.unknown)
    assert other.labels[:, 0].tolist() == [NSR in entry.labels for entry in found.entries]


def test_what_is_needed_is_told_in_bytes_of_all_recordings(tmp_path, capsys):
    for k in range(4):
        write_recording(tmp_path / "data", f"r{k}", heart_like(3 if k % 2 else 2, seed=k))
    build_dataset(method(sampling_frequency=10000.0), tmp_path / "data", tmp_path / "cache", workers=1)
    # 2.5 s on average, 12 leads of 4 bytes at 10 kHz; 14 kB of memory for each.
    told = f"The preprocessed recordings will take about 5 MB in {tmp_path / 'cache'} ("
    said = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("The preprocessed"))
    assert said.startswith(told)
    assert said.endswith(" MB free), and the work about 700 MB of memory beside the networks")


@pytest.mark.parametrize(("share", "disk", "memory"), [(0.0, 2.4e9, 2100), (0.5, 3.6e9, 2800)])
@pytest.mark.parametrize("lacking", [0, 4e5, 2e6])
def test_more_than_the_disk_has_is_refused_counting_what_will_be_simulated(
    tmp_path, capsys, monkeypatch, share, disk, memory, lacking
):
    free = disk - lacking
    asked = []
    monkeypatch.setattr(reading.shutil, "disk_usage", lambda path: asked.append(path) or SimpleNamespace(free=free))
    headers = 100_000 * [tmp_path / "r.xml"]  # 10 s each, 50 Hz
    given = method(simulated_share=share, sampling_frequency=50.0)
    if lacking:
        with pytest.raises(OSError, match="expected") as caught:
            reading._say_what_is_needed(given, headers, tmp_path)
        said = f"expected {disk / 1e6:,.0f} MB free, found {free / 1e6:,.0f} MB"
        assert (caught.value.errno, *caught.value.args[1:], caught.value.filename) == (ENOSPC, said, str(tmp_path))
    else:
        reading._say_what_is_needed(given, headers, tmp_path)
    assert asked == [tmp_path]
    assert capsys.readouterr().err == (
        f"The preprocessed recordings will take about {disk / 1e6:,.0f} MB in {tmp_path} "
        f"({free / 1e6:,.0f} MB free), and the work about {memory:,} MB of memory beside the networks\n"
    )


@pytest.mark.parametrize("fails", ["write", "flush"])
def test_a_cache_that_cannot_be_written_is_named(tmp_path, fails):
    def full(*_):
        raise OSError(ENOSPC, "No space left on device")

    file = SimpleNamespace(**{"write": lambda data: None, "flush": lambda: None, fails: full})
    writer = reading._CacheWriter(file, tmp_path / "preprocessed.f32", method(), None, ())
    prepared = reading._simulate(method(), 1)
    with pytest.raises(OSError, match="can't be written") as caught:
        writer.add("one", "here", 0, prepared)
    path = str(tmp_path / "preprocessed.f32")
    assert (caught.value.errno, caught.value.filename) == (ENOSPC, path)
    assert caught.value.strerror == "can't be written: No space left on device"


@pytest.mark.parametrize(
    ("seconds", "expected"), [("12 500 1000", 2.0), ("12 250 1000", 4.0), ("12 500", 10.0), ("12 500 0", 10.0)]
)
def test_a_length_that_a_header_does_not_say_is_taken_for_ten_seconds(tmp_path, seconds, expected):
    lines = [f"r.dat 16 1000/mV 16 0 0 0 0 {lead}" for lead in reading_leads()]
    (tmp_path / "r.hea").write_text("\n".join([f"r {seconds}", *lines, "#Dx: 1"]) + "\n")
    assert reading._seconds(tmp_path / "r.hea") == expected
    (tmp_path / "s.hea").write_text("nothing")
    assert reading._seconds(tmp_path / "s.hea") == reading._seconds(tmp_path / "s.xml") == 10.0


def changed_in_place(cache, change):
    stored = json.loads((cache / "preprocessed.json").read_text())
    change(stored)
    (cache / "preprocessed.json").write_text(json.dumps(stored))


@pytest.mark.parametrize(
    "damage",
    [
        lambda cache: (cache / "preprocessed.f32").write_bytes((cache / "preprocessed.f32").read_bytes()[:-4]),
        lambda cache: (cache / "preprocessed.f32").unlink(),
        lambda cache: (cache / "preprocessed.json").write_text("{"),
        lambda cache: (cache / "preprocessed.json").write_text("{}"),
        lambda cache: changed_in_place(cache, lambda stored: stored["entries"].pop()),
        lambda cache: changed_in_place(cache, lambda stored: stored.update(fingerprint="other")),
    ],
)
def test_what_is_not_whole_is_read_anew_and_refused_where_a_training_is_to_go_on(tmp_path, capsys, damage):
    data, cache = tmp_path / "data", tmp_path / "cache"
    for k in range(2):
        write_recording(data, f"r{k}", heart_like(2, seed=k))
    first, _ = build_dataset(method(), data, cache, workers=1)
    capsys.readouterr()
    signal = first.signal(1).copy()
    damage(cache)
    with pytest.raises(
        ValueError, match=rf"^{cache}: expected a stopped training on these recordings, found (none|one)"
    ):
        build_dataset(method(), data, cache, workers=1, resume=True)
    again, _ = build_dataset(method(), data, cache, workers=1)
    assert "Using the" not in capsys.readouterr().err
    assert again.entries == first.entries and np.array_equal(again.signal(1), signal)
    build_dataset(method(), data, cache, workers=1, resume=True)
    assert f"Using the 2 preprocessed recordings in {cache}" in capsys.readouterr().err


def test_a_checksum_is_of_all_that_a_training_can_see(folder, tmp_path):
    rows = np.array([0, 2])
    found, _ = build_dataset(method(masked_leads=MASKED_SETS), folder, tmp_path / "cache", workers=1)
    before = found.digest(rows)
    assert found.digest(rows) == before and found.digest(rows[::-1]) != before
    for change in ({"targets": (0.5,) * 24}, {"labels": ()}, {"fold": 2}, {"patient": "p"}, {"seconds": 9.0},
                   {"digest": "x"}, {"database": "x"}, {"n_samples": 5}):  # fmt: skip
        entry = found.entries[2]
        found.entries[2] = replace(entry, **change)
        assert found.digest(rows) != before, change
        found.entries[2] = entry
    found.entries[1] = replace(found.entries[1], fold=2)  # of no part in it
    assert found.digest(rows) == before
    for values in (found.features(2), found.masked_features(2)):
        found._signals = np.array(found._signals)
        size = np.flatnonzero(found._signals == values.ravel()[-1])[-1]
        found._signals[size] += 1
        assert found.digest(rows) != before
        found._signals[size] -= 1
    found.entries[0] = replace(found.entries[0], start=found.entries[0].start)
    assert found.digest(rows) == before


@pytest.mark.parametrize("n_bad", [0, 2, 7])
def test_where_nothing_can_be_trained_on_what_was_found_and_the_first_problems_are_said(tmp_path, n_bad):
    data = tmp_path / "data"
    for k in range(3):
        write_recording(data, f"r{k}", heart_like(2, seed=k), dx="55" if k else "56,55")
    for k in range(n_bad):
        write_recording(data, f"bad{k}", heart_like(2, seed=k)).with_suffix(".mat").write_bytes(b"junk")
    refused = (
        f"{data}: expected recordings with at least one of the scored diagnoses of challenge-2020, found none, "
        f"but 55, 56 among {3 + n_bad} recordings"
    ) + "".join(
        f"\n  {data}/bad{k}.mat: expected a MATLAB file of level 4 to 7.2, found 'junk'" for k in range(min(n_bad, 5))
    )
    with pytest.raises(RecordingError) as caught:
        build_dataset(method(), data, tmp_path / "cache", workers=1)
    assert str(caught.value) == refused
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordingError) as caught:
        build_dataset(method(), tmp_path / "empty", tmp_path / "cache", workers=1)
    assert str(caught.value) == f"{tmp_path / 'empty'}: expected recordings, found none"
