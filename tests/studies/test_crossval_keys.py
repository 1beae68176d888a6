"""Answers that were kept are given only for the same recordings, folds, method and options."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from ecg.labels.classes import CLASSES
from ecg.labels.diagnoses import Diagnoses
from ecg.methods.reduced_leads import on_leads
from ecg.studies import cross_validation as crossval
from ecg.studies.cross_validation import Options, Split
from tiny import heart_like, random_dataset, tiny, write_databases, write_recording


@pytest.fixture(scope="module")
def validated(tmp_path_factory):
    """The recordings that validated two folds, and the files that were kept."""
    place = tmp_path_factory.mktemp("validated")
    data = write_databases(place / "data", HR=10, A=6)
    names = [path.stem for path in sorted(data.glob("*.hea"))]
    rows = [f"{name},{name[:-5]},{1 + k % 6}" for k, name in enumerate(names)]
    (data / "folds.csv").write_text("\n".join(["record,database,fold", *rows]) + "\n")
    crossval.Validation("tiny", tiny(), {"tiny": tiny}, asked(place)).predictions()
    return place


def asked(place, **changes):
    return Options(
        place / "data", place / "out", **{"split": "folds", "n_folds": 2, "epochs": 1, "workers": 1, **changes}
    )


def trains_anew(place, method, options):
    """Whether a method is trained on these recordings again, or answers as it was kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crossval, "train_member", lambda *_: pytest.fail("trained"))
        try:
            crossval.Validation("tiny", method, {"tiny": lambda: method}, options).predictions()
        except pytest.fail.Exception:
            return True
    return False


OWN = Diagnoses("own", ("code", *CLASSES), ())


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (tiny(settings={"depth": 2}), {}),
        (tiny(name="another"), {}),
        (tiny(OWN), {}),
        (on_leads(tiny(), ("I", "II")), {}),
        (tiny(), {"members": 2}),
        (tiny(), {"seed": 1}),
        (tiny(), {"epochs": 2}),
        (tiny(), {"n_folds": 3}),
        (tiny(), {"split": "databases"}),
        (tiny(), {"split": "hold-out"}),
        (tiny(), {"limit": 15}),
    ],
)
def test_another_method_or_option_never_gets_the_answers_that_were_kept(validated, method, options):
    assert not trains_anew(validated, tiny(), asked(validated))
    assert trains_anew(validated, method, asked(validated, **options))


def test_a_key_tells_apart_where_training_ends_what_is_simulated_and_what_chooses_thresholds(tmp_path):
    options, rows = Options(tmp_path, tmp_path, "folds"), np.arange(30)

    def key(n_training, dataset):
        return crossval._key(tiny(), dataset, Split("a", rows[:n_training], rows[n_training:]), options)

    keys = {key(20, random_dataset(30)), key(21, random_dataset(30)), key(20, random_dataset(31))}
    for change in ({"fold": 3}, {"database": "Other"}, {"patient": "7"}):  # they decide about the validation part
        dataset = random_dataset(30)
        dataset.entries[4] = replace(dataset.entries[4], **change)
        keys.add(key(20, dataset))
    assert len(keys) == 6


def in_header(old, new):
    return lambda data: rewrite(data / "HR00003.hea", old, new)


def rewrite(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    "change",
    [
        in_header("#Dx: 426783006", "#Dx: 427084000"),
        in_header("#Age: 60", "#Age: 61"),
        in_header("#Sex: Female", "#Sex: Male"),
        in_header(" 12 500 ", " 12 499 "),
        lambda data: write_recording(data, "HR00003", heart_like(2, seed=77)),
        lambda data: (data / "HR00003.hea").unlink(),
        lambda data: write_recording(data, "HR00099", heart_like(2, seed=99)),
        lambda data: rewrite(data / "folds.csv", "HR00003,HR,4", "HR00003,HR,3"),
        lambda data: rewrite(data / "folds.csv", "HR00003,HR,", "HR00003,Q,"),
    ],
)
def test_a_change_of_a_recording_or_its_fold_never_gets_the_answers_that_were_kept(validated, tmp_path, change):
    for name in ("data", "out"):
        shutil.copytree(validated / name, tmp_path / name)
    shutil.rmtree(tmp_path / "out" / "tiny" / "cache")
    assert not trains_anew(tmp_path, tiny(), asked(tmp_path))
    change(tmp_path / "data")
    assert trains_anew(tmp_path, tiny(), asked(tmp_path))
