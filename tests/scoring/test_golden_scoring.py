"""Output files, labels and tables drawn at random, right and wrong in every way: what is read, said and refused.

`python tests/scoring/test_golden_scoring.py` notes it anew: read what has changed before you commit it.
"""

import contextlib
import io
import json
import os
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from ecg.labels.diagnoses import CHALLENGE_2020, load_diagnoses
from ecg.resources import resource
from ecg.scoring import output_files, score_folder, statistics
from ecg.scoring.challenge import EvaluationError, compute_scores, load_weights

GOLDEN = Path(__file__).with_name("golden_scoring.json")
SETS = {name: load_diagnoses(name) for name in ("challenge-2020", "challenge-2021", "ptb-xl")}
CODES = ["426783006", "164889003", "713427006", "59118001", "284470004", "63593006", "733534002", "164909002", "1"]
FLAGS = [*"1111000000", "1.0", "0.0", "True", "T", "f", "False", " 1", "2", "yes", "", "-1", "1e0", "nan"]
SCORES = ["0.5", "0.25", "1", "0", "-1", "2.5", "nan", "inf", "-inf", "", "much", " 0.75", "1e-3"]


def draw_output(rng, codes, plain):
    """The text of an output file."""
    chosen = list(rng.choice(codes, int(rng.integers(1, 5)), replace=bool(rng.random() < 0.2)))
    flags = list(rng.choice(FLAGS[:10] if plain else FLAGS, len(chosen)))
    scores = list(rng.choice(SCORES[:3] if plain else SCORES, len(chosen)))
    if rng.random() < 0.3:  # written as floats
        flags = ["1.0" if flag.strip() == "1" else "0.0" for flag in flags]
    lines = [f"#A{rng.integers(9)}", *map(",".join, (chosen, flags, scores))]
    fault = rng.choice(["none"] * (30 if plain else 8) + ["short", "long", "blank", "comment", "no id", "columns"])
    if fault == "short":
        lines.pop()
    elif fault == "long":
        lines[2] += ",1"
    elif fault == "blank":
        lines.insert(int(rng.integers(4)), "  ")
    elif fault == "comment":
        lines.insert(2, " # a comment, or two")
    elif fault == "no id":
        lines.pop(0)
    elif fault == "columns":
        lines[1] = ",".join(["10370003", "11157007", "NORM", "IMI"][: len(chosen)])
    return "\n".join(lines) + rng.choice(["", "\n", "\r\n", "\n\n1,2,3\n"], p=[0.1, 0.8, 0.05, 0.05])


def codes_of(name):
    if name == "ptb-xl":
        return ["NORM", "IMI", "CLBBB", "1AVB", "AFIB", "x"]
    return CODES + (["713427006|59118001", "x|284470004|63593006", "164909002|733534002"] if "2021" in name else [])


def numbers(array, classes):
    """Those of each row that are not 0, by class."""
    return [{classes[k]: round(float(row[k]), 4) for k in np.flatnonzero(row)} for row in array]


def attempt(function, *arguments):
    """What a function returns, or its error."""
    try:
        return function(*arguments)
    except (ValueError, OSError) as error:
        return f"{type(error).__name__}: {error}"


def outputs(number):
    """A few drawn files, read together as the scorer does and one by one."""
    rng = np.random.default_rng([81, number])
    name = list(SETS)[number % 3]
    diagnoses, classes = SETS[name], SETS[name].classes
    plain = bool(rng.random() < 0.3)
    files = [f"{k}.csv" for k in range(int(rng.integers(1, 4)))]
    texts = [draw_output(rng, codes_of(name), plain) for _ in files]
    for file, text in zip(files, texts, strict=True):
        Path(file).write_bytes(text.encode())
    read = attempt(score_folder.load_outputs, files, classes, diagnoses)
    whole = read if isinstance(read, str) else [numbers(each, classes) for each in read]
    alone = [attempt(output_files.load_outputs, file) for file in files]
    return {"set": name, "files": texts, "read": whole, "alone": [repr(each) for each in alone]}


DX = ["#Dx: {}", "# Dx: {}", "#DX:{}", " #dx : {}", "#Dx: {}\n#Dx: 164889003", "#Age: 3", "#Diagnosis: {}", "Dx: {}"]


def labels(number):
    """A folder of drawn headers, or a table, with outputs for some of them: labels, or what is wrong."""
    rng = np.random.default_rng([82, number])
    diagnoses = SETS["challenge-2020"]
    names = [f"A{k}" for k in range(3)]
    for folder in ("labels/below", "outputs"):
        Path(folder).mkdir(parents=True)
    said = []
    for name in names:
        separator = rng.choice([",", ", ", ";", " "])
        line = rng.choice(DX, p=[0.5, 0.1, 0.1, 0.1, 0.1, 0.03, 0.03, 0.04])
        said.append(line.format(separator.join(rng.choice(CODES, 2))))
        folder = "labels/below" if rng.random() < 0.2 else "labels"
        Path(folder, f"{name}.hea").write_text(f"{name} 12 500 5000\n# first\n{said[-1]}\n#Rx: Unknown\n")
        if rng.random() < 0.9:
            Path("outputs", f"{name}.csv").write_text("")
    if rng.random() < 0.1:
        Path("labels/below/A0.hea").write_text("A0 12 500 5000\n#Dx: 1\n")
    if rng.random() < 0.1:
        Path("outputs/more.csv").write_text("")
    Path("labels.csv").write_text("record,codes\n" + "".join(f"{name},{rng.choice(CODES)}\n" for name in names))

    def by_headers():
        headers = score_folder.find_headers("labels")
        truth = score_folder.load_labels(headers, diagnoses.classes, diagnoses)
        return [headers, score_folder.find_outputs("outputs", headers), numbers(truth, diagnoses.classes)]

    def by_table():
        files, truth = score_folder.load_labelled("labels.csv", "outputs", diagnoses.classes, diagnoses)
        return [files, numbers(truth, diagnoses.classes)]

    table = Path("labels.csv").read_text()
    return {"headers": said, "by headers": attempt(by_headers), "table": table, "by table": attempt(by_table)}


def figures(number):
    """All measures of drawn predictions, over all and by class."""
    rng = np.random.default_rng([83, number])
    diagnoses = SETS[["challenge-2020", "ptb-xl", "challenge-2021"][number % 3]]
    classes, n_recordings = diagnoses.classes, (40, 1, 12, 40, 0, 25)[number % 6]
    shape = n_recordings, len(classes)
    truth = rng.random(shape) < rng.choice([0.0, 0.05, 0.3, 1.0], len(classes), p=[0.2, 0.4, 0.3, 0.1])
    probabilities = np.round(np.clip(rng.random(shape) * 0.7 + 0.3 * truth, 0, 1), 2)
    given = truth ^ (rng.random(shape) < 0.05)
    weights = diagnoses.weights
    scores = compute_scores(weights, truth, given, probabilities, classes, diagnoses)
    lines = score_folder.format_class_table(scores, diagnoses).splitlines()
    found = {
        "scores": score_folder.format_scores(scores),
        "by class": score_folder.format_class_scores(scores)[-200:],
        "table": lines[:4],
        "measure": statistics.measure(truth, probabilities, given, diagnoses),
        "log loss": f"{statistics.log_loss(truth, probabilities):.4f}",
        "metric": [statistics.metric_name(diagnoses), round(statistics.main_metric(truth, given, diagnoses), 4)],
    }
    if n_recordings > 1:
        by_class = statistics.measure_classes(truth, probabilities, given, diagnoses)
        found["classes"] = {key: by_class[key] for key in list(by_class)[:4]}
        for function, what in (("metric_interval", given), ("auroc_interval", probabilities)):
            options = () if function == "auroc_interval" else (diagnoses,)
            found[function] = np.round(getattr(statistics, function)(truth, what, *options), 4).tolist()
    return found


def written(number):
    """What is written of drawn labels and scores, or what is wrong with them."""
    rng = np.random.default_rng([84, number])
    n_classes = int(rng.integers(0, 4))
    classes = [
        str(each) for each in rng.choice(["426783006", "AF", "a,b", "c\n"], n_classes, p=[0.45, 0.45, 0.05, 0.05])
    ]
    flags = rng.choice([0, 1, True, 1.0, 2], n_classes, p=[0.3, 0.3, 0.15, 0.2, 0.05]).tolist()
    scores = rng.choice(
        [0, 1, 0.1, 1 / 3, 1e-7, np.nan, np.inf], n_classes, p=[0.2, 0.2, 0.2, 0.2, 0.15, 0.03, 0.02]
    ).tolist()
    if rng.random() < 0.1:
        scores = [*scores, 0.5]
    name = str(rng.choice(["A1", "ä b", "a,b"], p=[0.8, 0.15, 0.05]))
    error = attempt(output_files.save_outputs, "o.csv", name, classes, flags, scores)
    text = Path("o.csv").read_text() if os.path.exists("o.csv") else None
    read = repr(output_files.load_outputs("o.csv")) if text is not None else None
    return {"given": repr([name, classes, flags, scores]), "written": text if error is None else error, "read": read}


def weights(number):
    """Tables of rewards with a fault."""
    rows = [line.split(",") for line in resource("weights.csv").read_text().splitlines()]
    rng = np.random.default_rng([85, number])
    fault = ["none", "order", "cell", "row", "name", "equal", "text", "nan", "empty", "bytes"][number]
    if fault == "order":
        order = [0, *(1 + rng.permutation(len(rows) - 1))]
        rows = [[rows[i][j] for j in order] for i in order]
    elif fault == "cell":
        rows[3].pop()
    elif fault == "row":
        rows.pop()
    elif fault == "name":
        rows[4][0] = "1234"
    elif fault == "equal":
        rows[rows[0].index("59118001")][2] = "0.125"
    elif fault in ("text", "nan"):
        rows[2][2] = {"text": "much", "nan": "nan"}[fault]
    elif fault == "empty":
        rows = []
    data = "\n".join(map(",".join, rows)).encode() + (b"\xff" if fault == "bytes" else b"")
    Path("w.csv").write_bytes(data)
    found = attempt(load_weights, "w.csv")
    some = attempt(load_weights, "w.csv", ["426783006", "164889003"])
    more = attempt(load_weights, "w.csv", ["426783006", "1"])
    if not isinstance(found, str):
        found = [list(found[0]), round(float(found[1].sum()), 4), found[1][:2].round(4).tolist()]
        some = [list(some[0]), some[1].tolist()]
    return {"fault": fault, "all": found, "some": some, "more": more}


DRAWS = {
    "outputs": (outputs, 60),
    "labels": (labels, 24),
    "figures": (figures, 12),
    "written": (written, 40),
    "weights": (weights, 10),
}
CASES = [f"{kind} {number}" for kind, (_, count) in DRAWS.items() for number in range(count)]


def drawn(case, place):
    """What came of a case in an empty folder, and what was said."""
    kind, number = case.split()
    before, said = Path.cwd(), io.StringIO()
    os.chdir(place)
    try:
        with contextlib.redirect_stderr(said):
            found = DRAWS[kind][0](int(number))
    finally:
        os.chdir(before)
    return json.loads(json.dumps({**found, "said": said.getvalue().splitlines()}))


@pytest.mark.parametrize("kind", DRAWS)
def test_what_is_read_said_and_refused_is_what_was_noted(kind, tmp_path):
    golden = json.loads(GOLDEN.read_text())
    cases = [case for case in CASES if case.split()[0] == kind]
    assert cases == [case for case in golden if case.split()[0] == kind]
    for case in cases:
        place = tmp_path / case.replace(" ", "_")
        place.mkdir()
        assert drawn(case, place) == golden[case], case


def test_the_same_codes_in_another_order_are_the_same_weights():
    codes = CHALLENGE_2020.classes[::-1]
    names, table = load_weights(classes=codes)
    assert names == codes
    np.testing.assert_array_equal(
        table[::-1, ::-1], load_weights()[1][np.ix_(*[[load_weights()[0].index(code) for code in codes[::-1]]] * 2)]
    )
    with pytest.raises(EvaluationError, match=re.escape("expected a row for each class, found none for ['1', '2']")):
        load_weights(classes=["2", "426783006", "1"])


def noted(case):
    with tempfile.TemporaryDirectory() as place:
        return drawn(case, place)


if __name__ == "__main__":
    GOLDEN.write_text("{\n" + ",\n".join(f"{json.dumps(case)}: {json.dumps(noted(case))}" for case in CASES) + "\n}\n")
    sys.exit()
