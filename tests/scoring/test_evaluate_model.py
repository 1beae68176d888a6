"""The Challenge score: golden figures of the official 2020 scorer, brute force, properties, files and the command."""

from __future__ import annotations

import importlib.util
import json
import math
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import evaluate_model
import helper_code
from evaluate_model import EvaluationError
from scorer_cases import scored_codes, write_case, write_record

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT.parent / "shared" / "reference"
GOLDEN = json.loads((Path(__file__).resolve().parents[1] / "golden" / "scorer_golden.json").read_text())
SEEDS = [case["seed"] for case in GOLDEN]
WITH_ONE_POINT_ZERO = {2, 8, 14}  # cases with rows written 1.0, which the official scorer takes for negative
CLASSES, WEIGHTS = evaluate_model.load_weights()
NORMAL = CLASSES.index(evaluate_model.NORMAL_CLASS)

SETTINGS = settings(deadline=None, derandomize=True, max_examples=60)
# Five classes keep the examples readable; the normal class is the last.
FEW = ("164889003", "713427006", "164917005", "284470004", evaluate_model.NORMAL_CLASS)
FEW_WEIGHTS = evaluate_model.load_weights(classes=FEW)[1]
SHAPES = st.tuples(st.integers(1, 12), st.just(len(FEW)))


@st.composite
def problems(draw):
    """Labels, binary outputs, scores with many ties."""
    shape = draw(SHAPES)
    flags = hnp.arrays(bool, shape)
    scores = hnp.arrays(float, shape, elements=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]))
    return draw(flags), draw(flags), draw(scores)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    return {seed: write_case(seed, folder / str(seed)) for seed in SEEDS}


def read_one(tmp_path, output, classes=("164889003", "426783006"), **options):
    _, outputs = write_record(tmp_path, output=output)
    binary, scalar = evaluate_model.load_outputs([outputs / "A0001.csv"], classes, **options)
    return binary[0].tolist(), scalar[0].tolist()


def assert_golden(scores, golden):
    figures = {
        "auroc": scores.overall["AUROC"],
        "auprc": scores.overall["AUPRC"],
        "accuracy": scores.overall["Accuracy"],
        "f_measure": scores.overall["F-measure"],
        "f_beta": scores.overall["Fbeta-measure"],
        "g_beta": scores.overall["Gbeta-measure"],
        "challenge": scores.overall["Challenge metric"],
        "auroc_classes": scores.by_class["AUROC"],
        "auprc_classes": scores.by_class["AUPRC"],
        "f_classes": scores.by_class["F-measure"],
    }
    assert list(scores.classes) == golden["classes"]
    for name, value in figures.items():
        np.testing.assert_allclose(value, golden[name], rtol=0, atol=1e-9, equal_nan=True, err_msg=name)


# Golden figures.


@pytest.mark.parametrize("golden", GOLDEN, ids=SEEDS)
def test_gives_the_official_scorers_figures(cases, golden, capsys):
    assert_golden(evaluate_model.evaluate_model(*cases[golden["seed"]]), golden)
    assert ("('1.0')" in capsys.readouterr().err) == (golden["seed"] in WITH_ONE_POINT_ZERO)


def test_outputs_written_as_floats_throughout_get_the_scores_of_the_same_outputs_written_as_integers(
    cases, tmp_path, capsys
):
    labels, outputs = cases[0]
    floats = tmp_path / "floats"
    floats.mkdir()
    for path in Path(outputs).iterdir():
        name, codes, binary, scores = path.read_text().splitlines()
        binary = ",".join(f"{word}.0" for word in binary.split(","))
        (floats / path.name).write_text("\n".join([name, codes, binary, scores]) + "\n")
    assert_golden(evaluate_model.evaluate_model(labels, floats), GOLDEN[0])
    warning = capsys.readouterr().err
    assert len(warning.splitlines()) == 1
    assert "counted as positive" in warning


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the reference leaves its files open
@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference generator is not there")
def test_cases_are_those_of_the_reference_generator(cases, tmp_path):
    spec = importlib.util.spec_from_file_location("reference_cases", REFERENCE / "scorer_cases.py")
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    assert json.loads((REFERENCE / "scorer_golden.json").read_text(), parse_constant=str) == json.loads(
        (Path(__file__).resolve().parents[1] / "golden" / "scorer_golden.json").read_text(), parse_constant=str
    )
    for seed in SEEDS:
        folders = reference.make(seed, str(tmp_path / str(seed)))
        for ours, theirs in zip(cases[seed], map(Path, folders), strict=True):
            assert sorted(os.listdir(ours)) == sorted(os.listdir(theirs))
            for name in os.listdir(ours):
                assert (ours / name).read_bytes() == (theirs / name).read_bytes(), f"seed {seed}: {name}"


# The table of rewards.

# One number for each class is behind the whole table: 1 for the same or an equivalent class, else 0.5 - |q_i - q_j|.
Q = {
    -0.05: ["NSR"],
    0.0: ["IAVB", "Brady", "IRBBB", "LPR", "SA", "SB"],
    0.0375: ["PAC", "SVPB"],
    0.05: ["LAnFB", "LAD", "NSIVCB", "RAD"],
    0.075: ["PR", "PVC", "VPB", "STach"],
    0.1: ["CRBBB", "RBBB"],
    0.125: ["LQRSV"],
    0.15: ["LQT"],
    0.175: ["LBBB"],
    0.2: ["AF", "AFL", "TAb", "TInv"],
    0.3: ["QAb"],
}


def test_weights_follow_from_one_number_per_class():
    codes = {abbreviation: code for code, (abbreviation, _) in helper_code.SCORED_CLASSES.items()}
    q = {codes[abbreviation]: value for value, abbreviations in Q.items() for abbreviation in abbreviations}
    assert set(q) == set(scored_codes())
    expected = [[1.0 if i == j else 0.5 - abs(q[i] - q[j]) for j in CLASSES] for i in CLASSES]
    np.testing.assert_allclose(WEIGHTS, expected, rtol=0, atol=1e-15)
    for line in (ROOT / "weights.csv").read_text().splitlines()[1:]:
        code, *row = line.split(",")
        assert row[scored_codes().index(evaluate_model.EQUIVALENT_CLASSES.get(code, code))] == "1.0"


def test_weights_come_in_the_order_asked_for():
    order = tuple(reversed(CLASSES))
    classes, weights = evaluate_model.load_weights(classes=order)
    assert classes == order
    np.testing.assert_array_equal(weights, WEIGHTS[::-1, ::-1])
    assert len(CLASSES) == 24
    assert not set(CLASSES) & set(evaluate_model.EQUIVALENT_CLASSES)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (",a,b\na,1,0\n", "square"),
        (",a,b\na,1,0\nb,0\n", "square"),
        ("", "square"),
        (",a,b\nb,1,0\na,0,1\n", "one order"),
        (",a,a\na,1,0\na,0,1\n", "distinct"),
        (",a,b\na,1,x\nb,0,1\n", "finite numbers"),
        (",a,b\na,1,nan\nb,0,1\n", "finite numbers"),
        (",713427006,59118001\n713427006,1,0.5\n59118001,0.5,1\n", "equivalent"),
    ],
)
def test_names_the_fault_of_a_table_of_weights(tmp_path, table, message):
    path = tmp_path / "table.csv"
    path.write_text(table)
    with pytest.raises(EvaluationError, match=rf"table\.csv: .*{message}"):
        evaluate_model.load_weights(path)


def test_weights_of_an_unknown_class_are_an_error():
    with pytest.raises(EvaluationError, match=r"weights\.csv.*none for \['1'\]"):
        evaluate_model.load_weights(classes=["426783006", "1"])


# Measures.


def brute_force_challenge_metric(weights, labels, outputs, normal):
    def score(predictions):
        total = 0.0
        for truth, prediction in zip(labels, predictions, strict=True):
            either = sum(t or p for t, p in zip(truth, prediction, strict=True))
            for i, t in enumerate(truth):
                for j, p in enumerate(prediction):
                    if t and p:
                        total += weights[i][j] / max(either, 1)
        return total

    inactive = score([[j == normal for j in range(len(weights))] for _ in labels])
    observed, correct = score(outputs), score(labels)
    return (observed - inactive) / (correct - inactive) if abs(correct - inactive) > 1e-12 else 0.0


def brute_force_auc(labels, scores):
    """AUROC as the share of positive-negative pairs in order, AUPRC by trying every score as a threshold."""
    positive, negative = scores[labels], scores[~labels]
    if not positive.size:
        return math.nan, math.nan
    auprc = recall = 0.0
    for threshold in sorted(set(scores), reverse=True):
        hits, alarms = sum(positive >= threshold), sum(scores >= threshold)
        auprc += (hits / len(positive) - recall) * hits / alarms
        recall = hits / len(positive)
    if not negative.size:
        return math.nan, auprc
    pairs = [1.0 if p > n else 0.5 if p == n else 0.0 for p in positive for n in negative]
    return sum(pairs) / len(pairs), auprc


def brute_force_counts(labels, outputs, k, weighted=False):
    counts = {(True, True): 0.0, (False, True): 0.0, (True, False): 0.0, (False, False): 0.0}
    for truth, prediction in zip(labels, outputs, strict=True):
        counts[bool(truth[k]), bool(prediction[k])] += 1 / max(sum(truth), 1) if weighted else 1
    return counts[True, True], counts[False, True], counts[True, False], counts[False, False]


def ratio(numerator, denominator):
    return numerator / denominator if denominator else math.nan


def mean(values):
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12, equal_nan=True)


@SETTINGS
@given(problems())
def test_challenge_metric_equals_brute_force(problem):
    labels, outputs, _ = problem
    found = evaluate_model.compute_challenge_metric(FEW_WEIGHTS, labels, outputs, FEW)
    assert found == pytest.approx(brute_force_challenge_metric(FEW_WEIGHTS, labels, outputs, 4), abs=1e-9)


@SETTINGS
@given(problems(), hnp.arrays(float, (5, 5), elements=st.sampled_from([-120, -60, 0, 60, 120])))
def test_the_metric_of_any_weights_equals_brute_force_also_where_always_normal_scores_more(problem, weights):
    labels, outputs, _ = problem
    found = evaluate_model.compute_challenge_metric(weights, labels, outputs, FEW)
    assert found == pytest.approx(brute_force_challenge_metric(weights, labels, outputs, 4), abs=1e-9)


def test_where_the_labels_score_less_than_always_normal_the_metric_still_counts_from_it():
    weights, labels = np.array([[0.25, 0.75], [0.0, 1.0]]), np.eye(2, dtype=bool)
    metric = partial(evaluate_model.compute_challenge_metric, weights, labels, classes=["1", "2"], normal_class="2")
    assert [metric(labels), metric(labels[::-1]), metric(labels[[1, 1]]), metric(~labels & False)] == [1, 8, 0, 11]


def test_observed_score_of_a_worked_example():
    # labels AF and QAb (rewards 1 with themselves, .4 with each other), output AF and RBBB (.4, .3): union of 3
    labels, outputs = [[1, 0, 1, 0, 0]], [[1, 1, 0, 0, 0]]
    found = evaluate_model.compute_observed_score(FEW_WEIGHTS, labels, outputs)
    assert found == pytest.approx((1 + 0.4 + 0.4 + 0.3) / 3, abs=1e-12)


@SETTINGS
@given(problems())
def test_areas_equal_brute_force(problem):
    labels, _, scores = problem
    auroc, auprc, auroc_classes, auprc_classes = evaluate_model.compute_auc(labels, scores)
    expected = [brute_force_auc(labels[:, k], scores[:, k]) for k in range(len(FEW))]
    assert_close(np.transpose([auroc_classes, auprc_classes]), expected)
    assert_close([auroc, auprc], [mean(column) for column in zip(*expected, strict=True)])


@SETTINGS
@given(problems())
def test_other_measures_equal_brute_force(problem):
    labels, outputs, _ = problem
    plain = [brute_force_counts(labels, outputs, k) for k in range(len(FEW))]
    weighted = [brute_force_counts(labels, outputs, k, weighted=True) for k in range(len(FEW))]
    f_classes = [ratio(2 * tp, 2 * tp + fp + fn) for tp, fp, fn, _ in plain]
    f_measure, found_classes = evaluate_model.compute_f_measure(labels, outputs)
    assert_close(found_classes, f_classes)
    assert_close(f_measure, mean(f_classes))
    f_beta = mean([ratio(5 * tp, 5 * tp + fp + 4 * fn) for tp, fp, fn, _ in weighted])
    g_beta = mean([ratio(tp, tp + fp + 2 * fn) for tp, fp, fn, _ in weighted])
    assert_close(evaluate_model.compute_beta_measures(labels, outputs), [f_beta, g_beta])
    rates = [[ratio(tp, tp + fn) for tp, _, fn, _ in plain], [ratio(tn, tn + fp) for _, fp, _, tn in plain]]
    assert_close(evaluate_model.compute_sensitivity_specificity(labels, outputs), rates)
    right = [all(t == p) for t, p in zip(labels, outputs, strict=True)]
    assert_close(evaluate_model.compute_accuracy(labels, outputs), sum(right) / len(right))


def test_areas_agree_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(0)
    labels = generator.random((300, 24)) < 0.2
    scores = np.round(generator.random((300, 24)), 2)
    _, _, auroc, auprc = evaluate_model.compute_auc(labels, scores)
    assert_close(auroc, [metrics.roc_auc_score(labels[:, k], scores[:, k]) for k in range(24)])
    assert_close(auprc, [metrics.average_precision_score(labels[:, k], scores[:, k]) for k in range(24)])


@SETTINGS
@given(problems(), st.randoms(use_true_random=False))
def test_order_of_recordings_and_classes_changes_nothing(problem, random):
    rows, columns = list(range(len(problem[0]))), list(range(len(FEW)))
    random.shuffle(rows)
    random.shuffle(columns)
    classes = tuple(FEW[k] for k in columns)
    weights = evaluate_model.load_weights(classes=classes)[1]
    labels, outputs, scores = (array[rows][:, columns] for array in problem)
    found = evaluate_model.compute_scores(weights, labels, outputs, scores, classes)
    expected = evaluate_model.compute_scores(FEW_WEIGHTS, *problem, FEW)
    assert_close(list(found.overall.values()), list(expected.overall.values()))
    for name, values in found.by_class.items():
        assert_close(values, expected.by_class[name][columns])
    assert found.support.tolist() == expected.support[columns].tolist()


@SETTINGS
@given(problems())
def test_always_the_normal_class_scores_exactly_zero_and_the_labels_one(problem):
    labels, _, _ = problem
    normal = np.zeros_like(labels)
    normal[:, 4] = True
    assert evaluate_model.compute_challenge_metric(FEW_WEIGHTS, labels, normal, FEW) == 0.0
    expected = 0.0 if np.array_equal(labels[labels.any(axis=1)], normal[labels.any(axis=1)]) else 1.0
    assert evaluate_model.compute_challenge_metric(FEW_WEIGHTS, labels, labels, FEW) == expected


@pytest.mark.parametrize("column", range(5))
def test_any_class_may_be_the_one_that_scores_zero_when_it_is_always_given(column):
    labels = np.random.default_rng(3).random((40, 5)) < 0.4
    always = np.zeros_like(labels)
    always[:, column] = True
    scored = partial(evaluate_model.compute_challenge_metric, FEW_WEIGHTS, labels, classes=FEW)
    assert scored(always, normal_class=FEW[column]) == 0.0
    assert scored(always, normal_class=FEW[column - 1]) != 0.0


@SETTINGS
@given(problems())
def test_empty_output_on_labelled_data_is_negative(problem):
    labels, outputs, _ = problem
    labels[0] = [True, False, False, False, False]
    assert evaluate_model.compute_challenge_metric(FEW_WEIGHTS, labels, np.zeros_like(outputs), FEW) < 0


@SETTINGS
@given(problems())
def test_arg_max_where_the_output_was_empty_never_lowers_the_metric(problem):
    labels, outputs, scores = problem
    outputs[0] = False
    filled = outputs.copy()
    empty = ~outputs.any(axis=1)
    filled[empty, scores[empty].argmax(axis=1)] = True
    before = evaluate_model.compute_observed_score(FEW_WEIGHTS, labels, outputs)
    after = evaluate_model.compute_observed_score(FEW_WEIGHTS, labels, filled)
    assert after >= before
    assert after > before or not labels[empty].any()


def test_output_on_a_recording_without_scored_label_is_free():
    labels, outputs = np.zeros((2, 24), dtype=bool), np.zeros((2, 24), dtype=bool)
    labels[0, 0] = outputs[0, 3] = True
    before = evaluate_model.compute_challenge_metric(WEIGHTS, labels, outputs, CLASSES)
    outputs[1] = True
    assert evaluate_model.compute_challenge_metric(WEIGHTS, labels, outputs, CLASSES) == before != 0


def test_data_of_normal_recordings_alone_score_zero():
    labels = np.zeros((3, 24), dtype=bool)
    labels[:, NORMAL] = True
    assert evaluate_model.compute_challenge_metric(WEIGHTS, labels, ~labels, CLASSES) == 0.0


def test_without_any_label_or_output_every_mean_is_nan():
    nothing = np.zeros((3, 24), dtype=bool)
    scores = evaluate_model.compute_scores(WEIGHTS, nothing, nothing, np.zeros((3, 24)), CLASSES)
    for name in ("AUROC", "AUPRC", "F-measure", "Fbeta-measure", "Gbeta-measure"):
        assert math.isnan(scores.overall[name]), name
    assert scores.overall["Accuracy"] == 1.0
    assert scores.overall["Challenge metric"] == 0.0


def test_probabilities_as_binary_outputs_are_an_error():
    labels = np.zeros((2, 24), dtype=bool)
    with pytest.raises(ValueError, match="0 and 1"):
        evaluate_model.compute_challenge_metric(WEIGHTS, labels, np.full((2, 24), 0.3), CLASSES)


def test_shapes_that_differ_are_an_error():
    labels = np.zeros((2, 24), dtype=bool)
    with pytest.raises(ValueError, match=r"\(2, 24\) and \(2, 23\)"):
        evaluate_model.compute_f_measure(labels, labels[:, 1:])
    with pytest.raises(ValueError, match="nan"):
        evaluate_model.compute_auc(labels, np.full((2, 24), math.nan))
    with pytest.raises(ValueError, match="normal class"):
        evaluate_model.compute_challenge_metric(WEIGHTS[:1, :1], labels[:, :1], labels[:, :1], CLASSES[:1])


def test_encodes_equivalent_unscored_and_double_codes():
    codes = [["59118001", "713427006"], ["1", ""], [], ["713427006", "164889003", "164889003"]]
    labels = evaluate_model.encode_labels(iter(codes), ["164889003", "713427006"])
    assert labels.tolist() == [[False, True], [False, False], [False, False], [True, True]]
    assert evaluate_model.encode_labels([], CLASSES).shape == (0, 24)
    with pytest.raises(ValueError, match="distinct"):
        evaluate_model.encode_labels(codes, ["59118001", "713427006"])


# Header files.


@pytest.mark.parametrize(
    "line",
    [
        "#Dx: 164889003,59118001",
        "# Dx: 164889003, 59118001",
        "#Dx:164889003,,59118001,",
        "#Dx: 59118001,164889003,164889003\r",
        "# Dx : 713427006,164889003,1",
        "#Dx: 164889003\n#Dx: 59118001",
    ],
)
def test_reads_the_dialects_of_the_dx_line(tmp_path, line):
    labels, _ = write_record(tmp_path, dx=line)
    found = evaluate_model.load_labels([labels / "A0001.hea"], ["164889003", "426783006", "713427006"])
    assert found.tolist() == [[True, False, True]]


def test_finds_headers_in_folders_below_and_ignores_other_files(tmp_path):
    labels, outputs = write_record(tmp_path, "B0001")
    write_record(tmp_path, "A0002")
    below = labels / "A"
    below.mkdir()
    (labels / "A0002.hea").rename(below / "A0002.hea")
    (labels / "B0001.mat").write_bytes(b"\x00\xff")
    (labels / ".C0001.hea").write_text("hidden")
    headers = evaluate_model.find_headers(labels)
    assert headers == [str(labels / "B0001.hea"), str(below / "A0002.hea")]
    assert evaluate_model.find_outputs(outputs, headers) == [str(outputs / f"{r}.csv") for r in ("B0001", "A0002")]


def test_two_headers_of_one_name_are_an_error(tmp_path):
    labels, _ = write_record(tmp_path)
    (labels / "more").mkdir()
    (labels / "more" / "A0001.hea").write_bytes((labels / "A0001.hea").read_bytes())
    with pytest.raises(EvaluationError, match=r"more/A0001\.hea: expected one header"):
        evaluate_model.find_headers(labels)


# Output files.


@pytest.mark.parametrize("spelling", ["1", "True", "true", "T", "t", " 1 "])
def test_reads_spellings_of_true_without_a_word(tmp_path, capsys, spelling):
    assert read_one(tmp_path, f"#A\n164889003,426783006\n{spelling},0\n0.5,0\n") == ([True, False], [0.5, 0.0])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("spelling", ["0", "0.0", "False", "false", "F", "f"])
def test_reads_spellings_of_false_without_a_word(tmp_path, capsys, spelling):
    assert read_one(tmp_path, f"#A\n164889003,426783006\n1,{spelling}\n0.5,0\n") == ([True, False], [0.5, 0.0])
    assert capsys.readouterr().err == ""


def test_one_point_zero_is_positive_and_said_once(tmp_path, capsys):
    text = "#A\n164889003,426783006\n1.0,1.0\n0.5,0\n"
    for record in ("A0001", "A0002"):
        _, outputs = write_record(tmp_path, record, output=text)
    files = [outputs / "A0001.csv", outputs / "A0002.csv"]
    assert evaluate_model.load_outputs(files, FEW[:1])[0].all()
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1
    assert "positive" in warning
    assert [warning.count(f"{file} ('1.0')") for file in files] == [1, 1]


def test_one_point_zero_beside_another_spelling_is_negative_as_the_official_scorer_has_it(tmp_path, capsys):
    assert read_one(tmp_path, "#A\n164889003,426783006\n1.0,1\n0.5,0\n") == ([False, True], [0.5, 0.0])
    assert "A0001.csv ('1.0')" in capsys.readouterr().err


def test_strange_binary_output_is_negative_and_named(tmp_path, capsys):
    assert read_one(tmp_path, "#A\n164889003,426783006\nyes,1\n0.5,0.4\n") == ([False, True], [0.5, 0.4])
    assert "A0001.csv ('yes')" in capsys.readouterr().err


def test_merges_equivalent_and_repeated_classes(tmp_path):
    text = "#A\n59118001,713427006,164889003,63593006,164889003\n1,0,0,0,1\n0.8,0.4,0.5,0.3,nan\n"
    binary, scalar = read_one(tmp_path, text, ("713427006", "164889003", "284470004", "426783006"))
    assert binary == [True, True, False, False]
    assert scalar == pytest.approx([0.6, 0.5, 0.3, 0.0])


def test_nan_scores_count_as_zero(tmp_path, capsys):
    assert read_one(tmp_path, "#A\n164889003,426783006\n1,0\nnan,0.2\n") == ([True, False], [0.0, 0.2])
    assert capsys.readouterr().err == ""


def test_opposite_infinities_in_equivalent_classes_count_as_zero(tmp_path):
    assert read_one(tmp_path, "#A\n59118001,713427006\n0,0\ninf,-inf\n", ["713427006"]) == ([False], [0.0])


def test_score_that_is_no_number_counts_as_zero_and_is_named(tmp_path, capsys):
    assert read_one(tmp_path, "#A\n164889003,426783006\n1,0\nx,0.2\n") == ([True, False], [0.0, 0.2])
    assert "A0001.csv ('x'): expected a number" in capsys.readouterr().err


def test_text_as_the_score_of_one_code_of_an_equivalent_pair_counts_as_zero_in_their_mean(tmp_path):
    text = "#A\n59118001,713427006\n1,0\n0.8,x\n"
    assert read_one(tmp_path, text, ["713427006"]) == ([True], [0.4])  # the official scorer's figure


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#A0001\n\n",
        "#A0001\n164889003,426783006\n1,0\n",
        "#A0001\n164889003,426783006\n1\n0.5,0.1\n",
        "#A0001\n164889003\n1,0\n0.5,0.1\n",
        "#A0001\n164889003,426783006\n1,0\n0.5,0.1\n1\n",
    ],
)
def test_malformed_output_is_all_negative_and_named(tmp_path, capsys, text):
    assert read_one(tmp_path, text) == ([False, False], [0.0, 0.0])
    assert f"{tmp_path / 'outputs' / 'A0001.csv'}: expected lines" in capsys.readouterr().err


def test_malformed_output_leaves_the_other_recordings_alone(tmp_path):
    _, outputs = write_record(tmp_path, "A0001", output="#A0001\n")
    write_record(tmp_path, "A0002", output="#A0002\r\n426783006, 164889003\r\n1, 0\r\n0.7, 0.1\r\n")
    write_record(tmp_path, "A0003")
    files = [outputs / f"A000{i}.csv" for i in (1, 2, 3)]
    binary, scalar = evaluate_model.load_outputs(files, ["164889003", "426783006"])
    assert binary.tolist() == [[False, False], [False, True], [True, False]]
    assert scalar.tolist() == [[0.0, 0.0], [0.1, 0.7], [0.9, 0.2]]


def test_reads_what_the_entry_writes(tmp_path):
    generator = np.random.default_rng(5)
    labels, scores = generator.random((4, 24)) < 0.3, generator.random((4, 24)).astype(np.float32)
    files = [tmp_path / f"A{i}.csv" for i in range(4)]
    for file, row, score in zip(files, labels, scores, strict=True):
        helper_code.save_outputs(file, file.stem, CLASSES, row, score)
    binary, scalar = evaluate_model.load_outputs(files, CLASSES)
    np.testing.assert_array_equal(binary, labels)
    np.testing.assert_array_equal(scalar.astype(np.float32), scores)


@pytest.mark.parametrize(("n_files", "more"), [(1, ""), (20, ""), (21, " and 1 more"), (25, " and 5 more")])
def test_names_at_most_twenty_files_in_a_warning(tmp_path, capsys, n_files, more):
    files = [tmp_path / f"A{i:04d}.csv" for i in range(n_files)]
    for file in files:
        file.write_text("#\n")
    evaluate_model.load_outputs(files, CLASSES)
    warning = capsys.readouterr().err
    assert warning.startswith(f"warning: {', '.join(map(str, files[:20]))}{more}: expected lines of codes")
