"""What the key of a run depends on: each part of the model that outputs depend on, changed alone."""

from types import SimpleNamespace

import pytest

from ecg.examination import journal
from ecg.inference import run_folder
from ecg.inference.run_folder import _digest
from ecg.runtime.shards import WHOLE, parse_shard


def model(**changes):
    members = [{"sha256": "aa", "thresholds": [0.5, 0.2]}, {"sha256": "bb", "thresholds": [0.4, 0.3]}]
    config = {"format": 7, "method": "hybrid", "settings": {"width": 0.5}, "classes": ["1", "2"], "members": members}
    config |= {"adaptation": {"slopes": [1.0]}, "trained": "2026-11-29"} | changes.pop("config", {})
    given = {"definitions": "clinical", "adaptation": None, "leads": None, "masked_leads": ()} | changes
    training = SimpleNamespace(masked_leads=given.pop("masked_leads"))
    method = SimpleNamespace(leads=given.pop("leads"), training=training)
    return SimpleNamespace(config=config, method=method, **given)


CHANGES = {
    "format": {"config": {"format": 8}},
    "method": {"config": {"method": "robust"}},
    "settings": {"config": {"settings": {"width": 0.6}}},
    "classes": {"config": {"classes": ["2", "1"]}},
    "weights": {"config": {"members": [{"sha256": "ab", "thresholds": [0.5, 0.2]}]}},
    "a threshold": {"config": {"members": [{"sha256": "aa", "thresholds": [0.5, 0.21]},
                                           {"sha256": "bb", "thresholds": [0.4, 0.3]}]}},
    "the order of members": {"config": {"members": [{"sha256": "bb", "thresholds": [0.4, 0.3]},
                                                    {"sha256": "aa", "thresholds": [0.5, 0.2]}]}},
    "the convention": {"definitions": "ptb-xl"},
    "the table of a convention": {"config": {"conventions": {"clinical": {"share": 0.5}}}},
    "the leads": {"leads": ("I", "II")},
    "leads that may be missing": {"masked_leads": (("I", "II"),)},
    "an adaptation": {"adaptation": object()},
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_another_model_is_another_run(change):
    assert _digest(model(**CHANGES[change])) != _digest(model())


def test_other_leads_and_another_adaptation_are_another_run():
    assert _digest(model(leads=("I", "II"))) != _digest(model(leads=("I", "V2")))
    one, other = ({"adaptation": {"slopes": [slope]}} for slope in (1.0, 2.0))
    assert _digest(model(adaptation=1, config=one)) != _digest(model(adaptation=1, config=other))


def test_what_outputs_do_not_depend_on_has_no_part():
    assert _digest(model(config={"trained": "2020-01-01"})) == _digest(model()) == _digest(model())


@pytest.mark.parametrize("change", ["numpy", "scipy", "code", "arguments", "layer"])
def test_the_key_of_a_step_changes_with_each_part(monkeypatch, change):
    before = journal.step_key("inference", "a", 1)
    if change in ("numpy", "scipy"):
        monkeypatch.setattr(f"{change}.__version__", "0.0.0")
    elif change == "code":
        monkeypatch.setattr(journal, "code_version", lambda layer: "another")
    after = journal.step_key("io" if change == "layer" else "inference", "a", 2 if change == "arguments" else 1)
    assert before != after


def test_a_run_that_begins_anew_removes_the_journals_of_runs_that_were_shared_out_otherwise(tmp_path):
    start = tmp_path / ".run"
    for text in ("1/2", "2/2", "1/3"):
        journal.Journal(start, parse_shard(text), resume=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".run-1-of-3.jsonl"]
    journal.Journal(start, parse_shard("2/3"), resume=False)
    journal.Journal(start, parse_shard("2/3"), resume=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".run-1-of-3.jsonl", ".run-2-of-3.jsonl"]
    journal.Journal(start, WHOLE, resume=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".run.jsonl"]


@pytest.mark.parametrize(("stem", "printed"), [("A 1-b", "A 1-b"), ("a,b", "a_b"), ("a\nb\x07", "a_b_")])
def test_a_name_in_an_output_has_no_comma_and_nothing_that_does_not_print(stem, printed):
    assert run_folder._printable(stem) == printed
