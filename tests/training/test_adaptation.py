"""Adaptation to a hospital: what a fit finds and leaves alone, how a model folder holds it, what is refused."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

import team_code
from commands import run, visible_bytes
from ecg.commands import adapt, calibrate
from ecg.decisions import adaptation
from ecg.decisions.adaptation import (
    Adaptation,
    Decided,
    adapt_to,
    choose,
    choose_penalty,
    cross_validate,
    fit_adaptation,
)
from ecg.decisions.expected_score import highest_expected_score
from ecg.inference import run_folder
from ecg.inference.onnx_export import export_onnx, only_member
from ecg.inference.run_folder import ClassifyOptions
from ecg.labels.diagnoses import CHALLENGE_2020
from ecg.model_folder.folder import load_model
from ecg.model_folder.model import ModelError
from ecg.report import recordings as report
from ecg.runtime.device import pick_device
from ecg.scoring.output_files import load_outputs
from ecg.scoring.statistics import log_loss
from ecg.studies.model_card import as_markdown
from ecg.training import adapt_model
from ecg.training.trainer import train
from report_pages import table_of
from tiny import heart_like, quick, tiny, write_recording

CODES = team_code.CLASSES
OFTEN, RARELY = "164889003", "427172004"  # atrial fibrillation, premature ventricular contractions
N = 40  # recordings of the hospital


def hospital(n, seed=0, shifts=(0.0, 1.5, -1.5)):
    """Scores of three classes, and labels by other prior odds, where class 0 is never written beside class 1."""
    rng = np.random.default_rng(seed)
    scores = expit(rng.normal((0.5, -1.0, -1.0), 2, (n, 3)))
    labels = rng.random((n, 3)) < expit(logit(scores) + shifts)
    labels[:, 0] &= ~labels[:, 1]
    return labels, scores


@pytest.mark.parametrize("n", [1, 150])
def test_with_a_strong_penalty_nothing_changes(n):
    labels, scores = hospital(n)
    found = fit_adaptation(labels, scores, 1e9)
    np.testing.assert_allclose(found.apply(scores), scores, atol=1e-5)


@pytest.mark.parametrize("penalty", [0.5, 20.0])
def test_the_fit_is_at_the_lowest_penalised_loss(penalty):
    labels, scores = hospital(120)
    odds = logit(scores)
    found = fit_adaptation(labels, scores, penalty)

    def loss(weights, intercepts):
        p = expit(odds @ weights + intercepts)
        between = ~np.eye(3, dtype=bool)
        shifts = (odds @ weights + intercepts - odds).mean(axis=0)
        prior = ((weights.diagonal() - 1) ** 2).sum() + 0.1 * (shifts**2).sum() + 30 * (weights[between] ** 2).sum()
        return -np.log(np.where(labels, p, 1 - p)).sum() + penalty / 2 * prior

    least = loss(found.weights, found.intercepts)
    for k in range(12):
        step = np.zeros(12)
        step[k] = 1e-3
        for sign in (1, -1):
            moved = sign * step
            assert loss(found.weights + moved[:9].reshape(3, 3), found.intercepts + moved[9:]) > least


def test_with_hardly_any_penalty_it_is_plain_logistic_regression():
    labels, scores = hospital(500)
    found = fit_adaptation(labels, scores, 1e-6)
    for k in range(3):
        plain = LogisticRegression(C=1e6, tol=1e-8).fit(logit(scores), labels[:, k])
        assert found.weights[:, k] == pytest.approx(plain.coef_[0], abs=1e-3)
        assert found.intercepts[k] == pytest.approx(plain.intercept_[0], abs=1e-3)


def test_other_prior_odds_and_a_convention_are_found():
    labels, scores = hospital(3000)
    found = fit_adaptation(labels, scores, 1.0)
    assert found.intercepts[1:] == pytest.approx([1.5, -1.5], abs=0.25)
    assert found.weights[1, 0] < -0.3  # the more there is of class 1, the less often is class 0 written
    assert found.weights[:, 1:] == pytest.approx(np.eye(3)[:, 1:], abs=0.15)
    fresh, unseen = hospital(3000, seed=1)
    assert log_loss(fresh, found.apply(unseen)) < 0.9 * log_loss(fresh, unseen)


def test_slopes_stay_above_zero_where_labels_are_upside_down():
    rng = np.random.default_rng(0)
    scores = rng.random((500, 2))
    found = fit_adaptation(rng.random((500, 2)) > scores, scores, 0.1)
    assert (found.weights.diagonal() > 0).all()


def test_few_recordings_without_any_difference_get_the_strongest_penalty_and_many_with_one_a_weak_one():
    rng = np.random.default_rng(3)
    scores = expit(rng.normal(-2, 1.5, (100, 24)))
    same = rng.random(scores.shape) < scores
    assert choose_penalty(same, scores, np.arange(100) % 5) >= 30
    assert choose_penalty(*hospital(2000), np.arange(2000) % 5) <= 3


def test_of_equally_good_penalties_the_strongest_is_taken(monkeypatch):
    monkeypatch.setattr(
        adaptation, "fit_adaptation", lambda labels, scores, penalty: fit_adaptation(labels, scores, math.inf)
    )
    assert choose_penalty(*hospital(40), np.arange(40) % 2) == math.inf


def test_a_recording_has_no_part_in_its_own_cross_validated_scores():
    labels, scores = hospital(150)
    folds = np.arange(150) % 5
    before = cross_validate(labels, given(scores), folds)[0]
    turned = labels.copy()
    turned[folds == 2] ^= True
    after = cross_validate(turned, given(scores), folds)[0]
    np.testing.assert_array_equal(after[folds == 2], before[folds == 2])
    assert not np.allclose(after[folds != 2], before[folds != 2])


def test_the_convention_that_fits_is_chosen_first_and_few_recordings_change_little_else():
    labels, scores = hospital(25, shifts=(0.0, 0.0, 0.0))
    labels[:, 0] = np.random.default_rng(1).random(25) < scores[:, 0]
    wrong, folds = expit(logit(scores) - 3), np.arange(25) % 5
    decided = {"clinical": given(wrong)[None], "ptb-xl": given(scores)[None]}
    name, penalty = choose(labels, decided, folds)
    assert name == "ptb-xl" and penalty >= 100
    adapted, _ = cross_validate(labels, decided, folds, np.eye(3))
    assert np.abs(adapted - scores).max() < 0.2
    same = {None: given(scores)[None], "clinical": given(scores)[None]}
    assert choose(labels, same, folds)[0] is None  # of equally good ones the first


@pytest.mark.parametrize("name", [None, "clinical"])
def test_where_no_change_is_best_a_convention_alone_is_the_choice_and_without_one_the_scores_stay(name):
    labels, scores = hospital(40)
    decided = {name: Decided(scores > 0.5, scores)}
    found = adapt_to(labels, decided, name, math.inf, np.eye(3))
    assert (found is None) == (name is not None)
    if found is not None:
        np.testing.assert_array_equal(found.weights, np.eye(3))
        np.testing.assert_array_equal(found.intercepts, 0)
    changed = adapt_to(labels, decided, name, 10.0, np.eye(3))
    assert changed.definitions == name and changed.thresholds is None
    np.testing.assert_array_equal(changed.weights, fit_adaptation(labels, scores, 10.0).weights)
    assert adapt_to(labels, decided, name, 10.0, None).thresholds is not None


def test_classes_that_nobody_has_do_no_harm():
    labels, scores = hospital(100)
    labels[:, 2] = False
    adapted = cross_validate(labels, given(scores), np.arange(100) % 5)[0]
    assert np.isfinite(adapted).all()
    assert adapted[:, 2].mean() < scores[:, 2].mean()


def given(scores):
    """Scores of a model that knows no conventions."""
    return {None: Decided(scores > 0.5, scores)}


def load(folder):
    return load_model(folder, {"tiny": tiny}, pick_device("cpu"))


def write_data(folder, labels, *, first=100):
    for number, dx in enumerate(labels):
        write_recording(folder, f"HR{number:05d}", heart_like(2, seed=first + number), dx=dx)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A tiny model of two members that was taught other labels than the hospital gives."""
    folder = tmp_path_factory.mktemp("adaptation")
    write_data(folder / "training", [CODES[number % 3] for number in range(12)], first=0)
    train(tiny(), folder / "training", folder / "model", quick(members=2))
    write_data(folder / "data", [OFTEN if number % 4 else RARELY for number in range(N)])
    return folder


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(team_code, "METHODS", {"tiny": tiny})
    monkeypatch.setattr(adapt_model, "FEWEST", 20)


@pytest.fixture(scope="module")
def adapted_once(place):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(team_code, "METHODS", {"tiny": tiny})
        patch.setattr(adapt_model, "FEWEST", 20)
        assert adapt.main(["--model", str(place / "model"), str(place / "data"), str(place / "adapted")]) == 0
    return place / "adapted"


@pytest.fixture
def adapted(adapted_once, tmp_path):
    return shutil.copytree(adapted_once, tmp_path / "adapted")


def test_the_command_writes_a_whole_model_beside_the_old_one_and_says_what_it_gains(place, few, tmp_path, capsys):
    before = visible_bytes(place / "model")
    (place / "data" / "HR99999.hea").write_text((place / "data" / "HR00000.hea").read_text())
    for name in ("twin", "unscored"):
        signal, dx = heart_like(2, seed=100 if name == "twin" else 900), OFTEN if name == "twin" else "1"
        write_recording(place / "data" / "more", name, signal, dx=dx)
    try:
        assert adapt.main(["--model", str(place / "model"), str(place / "data"), str(tmp_path / "adapted")]) == 0
    finally:
        shutil.rmtree(place / "data" / "more")
        (place / "data" / "HR99999.hea").unlink()
    said = capsys.readouterr().out
    assert f"{N} recordings (3 left out), 5-fold cross-validation, seed 2020" in said
    assert "Gain of the challenge metric: +" in said
    assert visible_bytes(place / "model") == before
    written = visible_bytes(tmp_path / "adapted")
    assert {name: digest for name, digest in written.items() if name != "config.json"} == {
        name: digest for name, digest in before.items() if name != "config.json"
    }
    old, new = (json.loads((folder / "config.json").read_text()) for folder in (place / "model", tmp_path / "adapted"))
    fitted = new.pop("adaptation")["fitted"]
    assert new == old
    assert (fitted["recordings"], fitted["seed"]) == (N, 2020)
    assert fitted["metric_after"] > fitted["metric_before"]
    assert f"to one hospital (number of its recordings: {N})" in as_markdown(
        {
            **old,
            "adaptation": {"fitted": fitted},
            "card": {
                "trained": {"command": "", "commit": "", "minutes": 1, "machine": ""},
                "measured": {"command": "", "commit": "", "rows": []},
            },
        }
    )


def test_an_adapted_model_decides_by_its_adapted_scores_alone(place, adapted):
    plain, model = load(place / "model"), load(adapted)
    probabilities = np.random.default_rng(0).random((2, 24))
    labels, scores = model.decide(probabilities)
    expected = model.adaptation.apply(plain.decide(probabilities)[1])
    np.testing.assert_array_equal(scores, expected)
    np.testing.assert_array_equal(labels, highest_expected_score(expected[np.newaxis], CHALLENGE_2020.weights)[0])
    assert scores.argmax() == CODES.index(OFTEN)
    each = model.decide_each(probabilities)
    for row, found in zip(probabilities, each, strict=True):
        np.testing.assert_array_equal(found, model.decide(np.stack([row, row]))[0])


def test_stored_and_loaded_it_is_the_same(adapted):
    stored = json.loads((adapted / "config.json").read_text())["adaptation"]
    found = load(adapted).adaptation
    assert stored["weights"][CODES[3]][7] == found.weights[7, 3]
    assert stored["intercepts"][CODES[3]] == found.intercepts[3]


def test_outputs_of_a_model_are_not_taken_for_those_of_its_adapted_one(place, adapted):
    assert run_folder._digest(load(place / "model")) != run_folder._digest(load(adapted))


def test_a_report_shows_adapted_probabilities_as_they_are_written(adapted, place, tmp_path):
    model = load(adapted)
    report.report_folder(model, place / "data", tmp_path, report.Options(), ClassifyOptions(workers=1))
    row = table_of(tmp_path)["recordings"][0]
    _, _, labels, scores = load_outputs(tmp_path / "outputs" / f"{row['name']}.csv")
    assert sorted(row["found"]) == [[k, round(score, 3)] for k, score in enumerate(scores) if labels[k]]
    assert "adapted" in (tmp_path / row["page"]).read_text()
    assert f"adapted to one hospital (number of its recordings: {N})" in report._model_words(model)


def test_an_onnx_file_of_an_adapted_model_is_refused(adapted):
    for model in (load(adapted), only_member(load(adapted), 1)):
        with pytest.raises(ValueError, match="expected a model that is not adapted"):
            export_onnx(model)


def test_an_adapted_model_is_neither_adapted_again_nor_calibrated(place, adapted, few, capsys):
    assert adapt.main(["--model", str(adapted), str(place / "data"), str(adapted.parent / "again")]) == 2
    assert "adapt what it was made from" in capsys.readouterr().err
    assert not (adapted.parent / "again").exists()
    assert calibrate.main([str(adapted), str(place / "training")]) == 2
    assert "expected a model that is not adapted" in capsys.readouterr().err


def test_without_a_gain_nothing_is_written(place, few, tmp_path, capsys):
    """The hospital's labels are what the model says already."""
    model = load(place / "model")
    run_folder.run_folder(model, place / "data", tmp_path / "out", ClassifyOptions(workers=1))
    for number in range(N):
        names, given = (tmp_path / "out" / f"HR{number:05d}.csv").read_text().splitlines()[1:3]
        codes = [code for code, flag in zip(names.split(","), given.split(","), strict=True) if flag.strip() == "1"]
        write_data(tmp_path / "data", [], first=0)
        write_recording(tmp_path / "data", f"HR{number:05d}", heart_like(2, seed=100 + number), dx=",".join(codes))
    assert adapt.main(["--model", str(place / "model"), str(tmp_path / "data"), str(tmp_path / "adapted")]) == 1
    said = capsys.readouterr()
    assert "Not adapted: challenge metric 1.000" in said.out
    assert "not written, as adapting gains nothing" in said.err
    assert not (tmp_path / "adapted").exists()


def test_too_few_recordings_are_refused(place, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(team_code, "METHODS", {"tiny": tiny})
    monkeypatch.setattr(adapt_model, "FEWEST", 100)
    assert adapt.main(["--model", str(place / "model"), str(place / "data"), str(tmp_path / "adapted")]) == 2
    assert "expected at least 100 different recordings with scored diagnoses, found 40" in capsys.readouterr().err
    assert not (tmp_path / "adapted").exists()


@pytest.mark.parametrize(("fewest", "gain", "status"), [(N + 1, 0.1, 2), (N, 0.0, 1), (N, 1e-9, 0)])
def test_as_many_recordings_as_are_asked_for_are_enough_and_any_gain_is(
    place, monkeypatch, tmp_path, fewest, gain, status
):
    compare = adapt_model.compare
    monkeypatch.setattr(adapt_model, "FEWEST", fewest)
    monkeypatch.setattr(adapt_model, "compare", lambda *words: replace(compare(*words), gain=gain))
    monkeypatch.setattr(team_code, "METHODS", {"tiny": tiny})
    words = ["--model", str(place / "model"), str(place / "data"), str(tmp_path / "adapted")]
    assert adapt.main(words) == status
    assert (tmp_path / "adapted").exists() == (status == 0)


def test_the_model_itself_is_never_replaced(place, few, tmp_path, capsys):
    before = visible_bytes(place / "model")
    (tmp_path / "link").symlink_to(place / "model")
    for target in (place / "model", tmp_path / "link", place / "model" / ".." / "model"):
        assert adapt.main(["--model", str(place / "model"), str(place / "data"), str(target)]) == 2
        assert "expected another folder than that of the model" in capsys.readouterr().err
    assert visible_bytes(place / "model") == before


def test_what_cant_be_used_is_named(place, few, tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("")
    words = ["--model", str(place / "model"), str(place / "data")]
    for more, complaint in (
        ([str(file)], f"{file}: expected a folder"),
        ([str(tmp_path / "adapted"), "--seed", "-1"], "Invalid value for '--seed': -1 is not in the range x>=0"),
    ):
        assert adapt.main([*words, *more]) == 2
        assert complaint in capsys.readouterr().err


def test_folds_that_come_with_the_data_are_kept_and_too_few_of_them_refused(place, few, tmp_path, capsys):
    shutil.copytree(place / "data", tmp_path / "data")
    words = ["--model", str(place / "model"), str(tmp_path / "data"), str(tmp_path / "adapted")]
    for n_folds, status in ((5, 0), (3, 2)):
        rows = [f"HR{number:05d},HR,{number % n_folds + 1}" for number in range(N)]
        (tmp_path / "data" / "folds.csv").write_text("record,database,fold\n" + "\n".join(rows) + "\n")
        assert adapt.main(words) == status
    assert "expected recordings in 5 folds" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: stored.pop("weights"),
        lambda stored: stored.pop("intercepts"),
        lambda stored: stored["weights"].popitem(),
        lambda stored: stored["intercepts"].update({CODES[0]: None}),
        lambda stored: stored["intercepts"].update({CODES[0]: float("nan")}),
        lambda stored: stored["intercepts"].update({CODES[0]: 10**400}),
        lambda stored: stored["intercepts"].update({CODES[0]: True}),
        lambda stored: stored["weights"][CODES[0]].pop(),
        lambda stored: stored["weights"][CODES[0]].__setitem__(0, -0.5),
        lambda stored: stored["weights"][CODES[0]].__setitem__(3, float("inf")),
        lambda stored: stored["weights"][CODES[0]].__setitem__(3, "0"),
        lambda stored: stored.update(weights=[]),
    ],
)
def test_a_damaged_adaptation_is_refused(place, tmp_path, change):
    identity = {code: [float(code == other) for other in CODES] for code in CODES}
    stored = {"weights": identity, "intercepts": dict.fromkeys(CODES, 0.0)}
    shutil.copytree(place / "model", tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "adaptation": stored}))
    np.testing.assert_array_equal(load(tmp_path / "model").adaptation.weights, np.eye(24))
    change(stored)
    file.write_text(json.dumps({**config, "adaptation": stored}))
    with pytest.raises(ModelError, match=r"config.json: adaptation\.(weights|intercepts)\S*: expected .*, found"):
        load(tmp_path / "model")


def test_scores_of_no_change_come_out_as_they_went_in():
    scores = np.array([0.0, 0.25, 1.0])
    np.testing.assert_allclose(Adaptation(np.eye(3), np.zeros(3)).apply(scores), scores, atol=2e-6)


@pytest.mark.slow
def test_it_runs_as_a_command_of_its_own(place, tmp_path):
    write_data(tmp_path / "data", [OFTEN if number % 4 else RARELY for number in range(24)])
    run(
        "ecg.__main__",
        "adapt",
        "--model",
        place / "model",
        tmp_path / "data",
        tmp_path / "adapted",
        check=0,
        cwd=tmp_path,
    )
    out = run("driver", tmp_path / "adapted", place / "data", tmp_path / "out", check=0)
    assert f"{N} recordings" in out.stdout + out.stderr
