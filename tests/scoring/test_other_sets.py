"""Scores of other sets of diagnoses: the official ones of 2021, PTB-XL's, and outputs of another set."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

import evaluate_model
from ecg.labels.diagnoses import load_diagnoses
from ecg.scoring.challenge import compute_superclass_auc
from ecg.scoring.output_files import save_outputs
from evaluate_model import EvaluationError
from scorer_cases_2021 import write_case

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT.parent / "shared" / "reference"
GOLDEN = json.loads((Path(__file__).resolve().parents[1] / "golden" / "scorer_golden_2021.json").read_text())
MEASURES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "accuracy": "Accuracy",
    "f_measure": "F-measure",
    "challenge": "Challenge metric",
}
OF_2021, PTB_XL = load_diagnoses("challenge-2021"), load_diagnoses("ptb-xl")


@pytest.mark.parametrize("golden", GOLDEN, ids=[case["seed"] for case in GOLDEN])
def test_gives_the_official_2021_scorers_figures(golden, tmp_path):
    found = evaluate_model.evaluate_model(*write_case(golden["seed"], tmp_path, OF_2021.classes), OF_2021).overall
    assert list(found) == list(MEASURES.values())
    for name, measure in MEASURES.items():
        assert found[measure] == pytest.approx(golden[name], rel=0, abs=1e-12), name


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference generator is not there")
def test_cases_are_those_of_the_reference_generator(tmp_path):
    spec = importlib.util.spec_from_file_location("reference_cases_2021", REFERENCE / "scorer_cases_2021.py")
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    for seed in range(10):
        write_case(seed, tmp_path / f"ours-{seed}", OF_2021.classes)
        reference.make(seed, str(tmp_path / f"theirs-{seed}"))
        theirs = {path.relative_to(tmp_path / f"theirs-{seed}"): path for path in tmp_path.glob(f"theirs-{seed}/*/*")}
        assert theirs
        for name, path in theirs.items():
            assert (tmp_path / f"ours-{seed}" / name).read_bytes() == path.read_bytes(), f"seed {seed}: {name}"


def write_2021(folder, columns, binary, scores, dx="733534002"):
    (folder / "labels").mkdir()
    (folder / "outputs").mkdir()
    (folder / "labels" / "A.hea").write_text(f"A 1 500 10\n#Dx: {dx}\n")
    (folder / "outputs" / "A.csv").write_text(f"#A\n{columns}\n{binary}\n{scores}\n")
    codes = ("733534002|164909002", "426783006")
    labels = evaluate_model.load_labels([folder / "labels" / "A.hea"], codes, OF_2021)
    return labels[0].tolist(), *(
        each[0].tolist() for each in evaluate_model.load_outputs([folder / "outputs" / "A.csv"], codes, OF_2021)
    )


@pytest.mark.parametrize("column", ["733534002", "164909002", "733534002|164909002", "164909002|733534002"])
@pytest.mark.parametrize("dx", ["733534002", "164909002.0"])
def test_an_equivalent_pair_is_one_class_however_it_is_written(tmp_path, column, dx):
    found = write_2021(tmp_path, f"{column},426783006", "1.0,0", "0.9,inf", dx)
    assert found == ([True, False], [True, False], [0.9, 0.0])


def test_of_two_equivalent_columns_a_score_that_is_not_finite_counts_as_zero_in_the_mean(tmp_path):
    found = write_2021(tmp_path, "733534002,164909002,426783006", "0,True,2", "nan,0.8,1e400")
    assert found == ([True, False], [True, False], [0.4, 0.0])


@pytest.mark.parametrize(
    ("dx", "given", "expected"),
    [
        ("426783006", ["426783006"], [np.nan, 1, 1, 1, 0]),  # no more than always saying sinus rhythm
        ("426783006", [], [np.nan, 1, 0, 0, 0]),
        ("164884008", ["164889003"], [np.nan, np.nan, 0, 0, 0]),  # no label is scored
        ("164884008", [], [np.nan, np.nan, 1, np.nan, 0]),
    ],
)
def test_recordings_that_are_all_alike_are_scored_by_the_official_rules(tmp_path, dx, given, expected):
    for k in range(3):
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / f"T{k}.hea").write_text(f"T{k} 12 500 5000\n#Dx: {dx}\n")
        (tmp_path / "outputs").mkdir(exist_ok=True)
        labels = [int(name in given) for name in OF_2021.classes]
        save_outputs(tmp_path / "outputs" / f"T{k}.csv", f"T{k}", OF_2021.classes, labels, [0.1 * k] * 26)
    found = evaluate_model.evaluate_model(tmp_path / "labels", tmp_path / "outputs", OF_2021).overall
    np.testing.assert_array_equal([found[name] for name in MEASURES.values()], expected)


# Sets without reward weights.


@pytest.fixture(scope="module")
def ptb_xl(tmp_path_factory):
    """Outputs of 80 recordings, the table of their statements, and both as arrays."""
    folder, random = tmp_path_factory.mktemp("ptb-xl"), np.random.default_rng(0)
    labels = random.random((80, 71)) < 0.15
    scores = np.round(0.5 * labels + 0.7 * random.random((80, 71)), 3) / 1.2
    lines = ["ecg_id,scp_codes"]
    (folder / "outputs").mkdir()
    for number, (row, given) in enumerate(zip(labels, scores, strict=True), start=1):
        codes = {code: 0.0 for code, flag in zip(PTB_XL.classes, row, strict=True) if flag}
        lines.append(f'{number},"{codes}"')
        save_outputs(folder / "outputs" / f"HR{number:05d}.csv", f"HR{number:05d}", PTB_XL.classes, given > 0.5, given)
    (folder / "ptbxl_database.csv").write_text("\n".join(lines) + "\n")
    return folder, labels, scores.astype(np.float32).astype(np.float64)


def test_a_set_without_rewards_is_scored_by_areas_and_f1_and_no_challenge_metric(ptb_xl):
    folder, labels, scores = ptb_xl
    found = evaluate_model.evaluate_model(folder / "ptbxl_database.csv", folder / "outputs", PTB_XL)
    assert found.overall["AUROC"] == pytest.approx(roc_auc_score(labels, scores, average="macro"))
    assert found.overall["AUPRC"] == pytest.approx(average_precision_score(labels, scores, average="macro"))
    assert found.overall["F-measure"] == pytest.approx(f1_score(labels, scores > 0.5, average="macro"))
    assert not any("Challenge" in name or "beta" in name for name in found.overall)


def test_superclasses_are_a_second_level(ptb_xl):
    folder, labels, scores = ptb_xl
    found = evaluate_model.evaluate_model(folder / "ptbxl_database.csv", folder / "outputs", PTB_XL)
    groups = list(PTB_XL.superclasses.values())
    assert sorted(map(len, groups)) == [1, 5, 11, 13, 14]
    truth = np.stack([labels[:, group].any(axis=1) for group in groups], axis=1)
    some = np.stack([1 - (1 - scores[:, group]).prod(axis=1) for group in groups], axis=1)
    assert found.overall["AUROC of superclasses"] == pytest.approx(roc_auc_score(truth, some, average="macro"))


def test_scores_beyond_0_and_1_count_as_0_and_1_in_a_superclass():
    labels = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1]], dtype=bool)
    # Of the first two columns: 1, 0.6, 0.5, 0.4. As they are, -0.5 would make 0.25 of 0.5, and two of 3 make -3 of 1.
    scores = np.array([[3.0, 3.0, -1.0], [0.6, 0.0, 2.0], [0.5, -0.5, -4.0], [0.4, 0.0, 0.5]])
    auroc, auprc = compute_superclass_auc(labels, scores, [[0, 1], [2]])
    assert auroc == pytest.approx((3 / 4 + 1) / 2)
    assert auprc == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)


def test_the_command_names_both_sets_where_outputs_are_of_another_one(ptb_xl):
    folder, _, _ = ptb_xl
    words = [sys.executable, ROOT / "evaluate_model.py", folder / "ptbxl_database.csv", folder / "outputs"]
    right = subprocess.run([*words, "--diagnoses", "ptb-xl"], capture_output=True, text=True, check=True)
    assert right.stdout.startswith("AUROC,AUPRC,Accuracy,F-measure,AUROC of superclasses")
    wrong = subprocess.run([*words, "--diagnoses", "challenge-2021"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "expected columns of the set of diagnoses challenge-2021, found those of the set ptb-xl" in wrong.stderr


def written(path, text):
    path.write_text(text)
    return path


def test_outputs_of_2020_are_not_scored_as_2021(tmp_path):
    of_2020 = load_diagnoses()
    labels, outputs = write_case(0, tmp_path, OF_2021.classes)
    for path in outputs.iterdir():
        save_outputs(path, path.stem, of_2020.classes, np.zeros(24, int), np.zeros(24))
    with pytest.raises(EvaluationError, match="diagnoses challenge-2021, found those of the set challenge-2020"):
        evaluate_model.evaluate_model(labels, outputs, OF_2021)


def test_outputs_of_the_same_classes_are_scored_by_a_set_of_any_name(tmp_path):
    codes = ["7", "8", "9|10"]
    own = load_diagnoses(written(tmp_path / "own.csv", "code,equivalents\n7,\n8,\n9,10\n"))
    again = load_diagnoses(written(tmp_path / "again.csv", "code\n" + "".join(f"{code}\n" for code in PTB_XL.classes)))
    for chosen, names in ((own, codes), (own, codes[::-1]), (own, ["7", "1"]), (again, PTB_XL.classes[::-1])):
        file = tmp_path / "A.csv"
        save_outputs(file, "A", names, np.ones(len(names), int), np.full(len(names), 0.75))
        binary, scores = evaluate_model.load_outputs([file], chosen.classes, chosen)
        expected = [any(code in name.split("|") for name in names) for code in chosen.classes]
        assert binary[0].tolist() == expected
        assert scores[0].tolist() == [0.75 * each for each in expected]


@pytest.mark.parametrize("n_characters", [79, 80, 81, 300])
def test_strange_columns_are_named_up_to_80_characters(tmp_path, n_characters):
    own = load_diagnoses(written(tmp_path / "own.csv", "code\n7\n"))
    names = ["x1", "x" * (n_characters - 4)]
    save_outputs(tmp_path / "A.csv", "A", names, [0, 0], [0.5, 0.5])
    with pytest.raises(EvaluationError) as caught:
        evaluate_model.load_outputs([tmp_path / "A.csv"], own.classes, own)
    found = f"others ({', '.join(names)[:80]})"
    assert str(caught.value) == f"{tmp_path}/A.csv: expected columns of the set of diagnoses own, found {found}"


def test_labels_without_any_code_of_the_set_are_named(ptb_xl, tmp_path, capsys):
    folder, _, _ = ptb_xl
    rows = "".join(f"{k},{{'164889003': 100}}\n" for k in range(1, 81))
    (tmp_path / "others.csv").write_text("ecg_id,scp_codes\n" + rows)
    evaluate_model.evaluate_model(tmp_path / "others.csv", folder / "outputs", PTB_XL)
    assert "others.csv: expected diagnoses of the set ptb-xl, found none of them" in capsys.readouterr().err


def test_an_output_that_the_table_lacks_is_an_error(ptb_xl, tmp_path):
    folder, _, _ = ptb_xl
    table = tmp_path / "few.csv"
    table.write_text("ecg_id,scp_codes\n1,{'SR': 0.0}\n")
    with pytest.raises(EvaluationError, match=r"few\.csv: expected a row for each output .* found none for HR00002"):
        evaluate_model.evaluate_model(table, folder / "outputs", PTB_XL)
