"""Folders of files drawn at random: what is found in them, read of them, and watched of them, as it was noted.

`PYTHONPATH=.:tests python tests/io/test_drawn_folders.py` notes it anew: read what has changed before you commit it.
"""

import json
import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from drawing import Draw
from drawn_files import MAKERS
from ecg.io.device_statements import load_statements
from ecg.io.errors import RecordingError
from ecg.io.folders import find_challenge_files
from ecg.io.formats import SUFFIXES, find_ignored, find_recordings, read
from ecg.io.inputs import expand_inputs
from ecg.io.sources import files_of

GOLDEN = Path(__file__).with_name("drawn_folders.json")
N_FOLDERS = 60
STATEMENTS = load_statements("common")
SAMPLES = np.random.default_rng(3).integers(-500, 500, (2, 150))
TABLE = "I,II\n" + "\n".join(f"{a},{b}" for a, b in SAMPLES.T.tolist()) + "\n"
MAT = struct.pack("<5i4s", 30, 2, 150, 0, 4, b"val") + SAMPLES.astype("<i2").tobytes(order="F")
DAT = SAMPLES.astype("<i2").tobytes(order="F")
SIDECAR = '{"sampling_frequency": 100, "unit": "uV"}'


def header(name):
    format_ = "16+24" if name.lower().endswith(".mat") else "16"
    return f"A 2 100 150\n{name} {format_} 200 16 0 0 0 0 I\n{name} {format_} 200 16 0 0 0 0 II\n#Dx: 426783006\n"


# Files that belong together.
PAIRS = [
    [((".hea", ".HEA"), header("STEM.mat")), ((".mat", ".MAT", ".dat"), MAT)],
    [((".hea",), header("STEM.mat")), ((".mat",), MAT)],
    [((".hea",), header("STEM.dat")), ((".dat", ".DAT"), DAT)],
    [((".csv", ".txt"), TABLE), ((".json",), SIDECAR)],
]
# Suffixes that a file may have, and its content; None for a link that leads nowhere.
CONTENTS = [
    ((".hea",), header("B.dat")),
    ((".hea",), header("sub/C.dat")),
    ((".hea",), header("C.MAT")),
    ((".hea",), "no header"),
    ((".mat", ".mat", ".MAT"), MAT),
    ((".dat", ".dat", ".DAT"), DAT),
    ((".csv", ".txt", ".CSV", ""), TABLE),
    ((".csv",), "record,I\nA,2\nB,3\n"),
    ((".txt", ""), "A\nsub\n# B\n\nC.csv\n"),
    ((".json",), SIDECAR),
    ((".json",), '{"x": 1}'),
    ((".json", ".JSON"), MAKERS["kardia"](Draw(4, *b"kardia"))),
    ((".xml", ".XML"), MAKERS["muse"](Draw(1, *b"muse"))),
    ((".xml",), "<other/>"),
    ((".ecg", ""), MAKERS["ishne"](Draw(2, *b"ishne"))),
    ((".scp",), MAKERS["scp"](Draw(2, *b"scp"))),
    ((".pdf", ".png", ".dcm", ""), b"%PDF-1.7"),
    ((".dcm", ".edf"), b""),
    ((".dcm", ".mwf"), "version https://git-lfs.github.com/spec/v1\n"),
    ((".edf", ".dcm", "", ".hea", ".csv"), None),
    ((".md", ".zip", ".part"), "x"),
    ((".dat",), MAKERS["ishne"](Draw(2, *b"ishne"))),
    ((".DAT",), DAT),
    ((".csv",), "a text, and no table\n"),
]


def fill(folder, draw):
    """Files with few names, so that many have the same one."""
    for place in ("", "", "", "sub", "sub/deep", ".hidden"):
        (folder / place).mkdir(parents=True, exist_ok=True)
        for parts in [draw.some(draw.of(*PAIRS)), *([draw.of(*CONTENTS)] for _ in range(draw.of(0, 1, 2)))]:
            stem = draw.of("A", "B", "C", "A", "B", "C", ".h", "D.1")
            for suffixes, content in parts:
                path = folder / place / (stem + draw.of(*suffixes))
                if os.path.lexists(path):
                    continue
                if content is None:
                    path.symlink_to("nowhere")
                else:
                    path.write_bytes(content if isinstance(content, bytes) else content.replace("STEM", stem).encode())
    if draw.of(False, True):
        (folder / "sub" / "again").symlink_to("..")


def in_words(folder, path):
    try:
        one = read(path, STATEMENTS)
    except RecordingError as error:
        return str(error).replace(f"{folder}/", "").split("), found")[-1]
    leads = int((~np.isnan(one.signal).all(axis=1)).sum())
    shape = f"{leads} x {one.signal.shape[1]}"
    return f"{one.format}, {one.name}, {shape}, {' '.join(one.labels)} {len(one.device.statements)}"


def told(folder, draw):
    fill(folder, draw)

    def short(paths):
        return " ".join(str(path).replace(f"{folder}/", "") for path in paths)

    recordings = list(find_recordings(folder))
    found = {"recordings": {short([path]): in_words(folder, path) for path in recordings}}
    found["ignored"] = short(find_ignored(folder))
    found["challenge"] = [
        " | ".join(map(short, find_challenge_files(folder, recursive))) for recursive in (False, True)
    ]
    headers = [path for path in recordings if path.lower().endswith(".hea")]
    found["watched"] = {short([path]): short(files_of(path).files) for path in headers + recordings[:1]}
    inputs = [
        "A",
        "B.dat",
        "A.mat",
        "*.csv",
        "*",
        "sub",
        "sub/*.hea",
        "C.txt",
        "B",
        "A.csv",
        "nowhere",
        "sub/B",
        "C.hea",
    ]
    there = [
        one
        for one in inputs
        if list(folder.glob(one)) or list(folder.glob(f"{one}.hea")) or draw.of(*[False] * 9, True)
    ]
    inputs = draw.shuffled(there)[:3]
    try:
        each = [f"{short([one.path])} {one.name}" for one in expand_inputs([f"{folder}/{one}" for one in inputs])]
        found[f"inputs {' '.join(inputs)}"] = each
    except ValueError as error:
        found[f"inputs {' '.join(inputs)}"] = str(error).replace(f"{folder}/", "")
    return found


def test_folders_of_any_files_are_read_as_was_noted(tmp_path):
    for i, expected in enumerate(json.loads(GOLDEN.read_text())):
        assert told(tmp_path / str(i), Draw(i, 5)) == expected, f"folder {i}"


@pytest.mark.parametrize("i", range(6))
def test_a_stamp_changes_with_each_file_that_is_watched_and_with_no_other(tmp_path, i):
    fill(tmp_path, Draw(i, 6))
    for path in find_recordings(tmp_path):
        source = files_of(path)
        assert files_of(path) == source
        (tmp_path / "other.xyz").write_text(str(path))
        assert files_of(path).stamp == source.stamp
        for file in source.files:
            if not file.parent.is_dir() or (os.path.lexists(file) and not file.exists()):
                continue
            before, was = files_of(path).stamp, file.read_bytes() if file.exists() else None
            file.write_bytes((was or b"") + b" ")
            if file.suffix.lower() != ".hea":  # with another text it may name other files
                assert files_of(path).stamp != before, file
            file.unlink() if was is None else file.write_bytes(was)


@pytest.mark.parametrize("suffix", [".hea", *SUFFIXES, *map(str.upper, SUFFIXES)])
def test_a_file_is_refused_beside_one_of_its_name_in_any_format(tmp_path, suffix):
    content = {
        ".json": MAKERS["kardia"](Draw(4, *b"kardia")),
        ".npy": b"\x93NUMPY",
        ".npz": b"PK\x03\x04",
        ".parquet": b"PAR1",
    }
    (tmp_path / "A").write_bytes(MAKERS["ishne"](Draw(2, *b"ishne")))
    assert read(tmp_path / "A").format == "ISHNE Holter"
    (tmp_path / f"A{suffix}").write_bytes(content.get(suffix.lower(), TABLE.encode()))
    with pytest.raises(RecordingError) as caught:
        read(tmp_path / "A")
    expected = f"expected one recording named A in its folder, found A{suffix} beside it"
    assert str(caught.value) == f"{tmp_path / 'A'}: {expected}"


def test_labels_are_those_of_the_statements_in_their_order_each_once(tmp_path):
    lines = "".join(
        f"<DiagnosisStatement><StmtFlag>ENDSLINE</StmtFlag><StmtText>{line}</StmtText></DiagnosisStatement>"
        for line in (
            "Sinus rhythm",
            "Atrial fibrillation with left bundle branch block",
            "Nothing known",
            "Left axis deviation, AF",
            "AFIB",
        )
    )
    data = re.sub(
        b"<(Original|)Diagnosis>.*</(Original|)Diagnosis>", b"", MAKERS["muse"](Draw(1, *b"muse")), flags=re.DOTALL
    )
    (tmp_path / "a.xml").write_bytes(
        data.replace(b"<RestingECG>", f"<RestingECG><Diagnosis>{lines}</Diagnosis>".encode())
    )
    assert read(tmp_path / "a.xml", STATEMENTS).labels == ("426783006", "164889003", "164909002", "39732003")
    assert read(tmp_path / "a.xml").labels == ()


def test_a_users_own_statements_go_before_the_common_ones_and_the_longest_known_text_counts(tmp_path):
    (tmp_path / "own.csv").write_text(
        'code,statement\n111111,Sinus rhythm\n222222;333333,"sinus rhythm,  first degree block"\n,Nice: very\n'
    )
    table = load_statements(tmp_path / "own.csv")
    assert table.codes_of("Sinus rhythm") == ("111111",)
    assert table.codes_of("Sinus rhythm, first degree block; no change") == ("222222", "333333")
    assert table.codes_of("Sinus rhythm, second degree block; no change") == ("111111",)
    assert table.codes_of("nice: very") == () and table.codes_of("nice: not") is None
    assert table.codes_of("Atrial flutter") == ("164890007",) == load_statements("common").codes_of("Atrial flutter")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        rows = [json.dumps(told(Path(place, str(i)), Draw(i, 5)), ensure_ascii=False) for i in range(N_FOLDERS)]
    GOLDEN.write_text("[\n" + ",\n".join(rows) + "\n]\n")
