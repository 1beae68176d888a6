"""The table of acute findings in simulated hearts."""

from ecg.commands import benchmark
from ecg.studies.acute_sensitivity import EXPECTED


def test_the_command_counts_each_finding_and_false_ones(capsys):
    assert benchmark.main(["acute", "--records", "1"], standalone_mode=False) == 0
    rows = dict(line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if " | " in line)
    assert set(EXPECTED) < set(rows)
    assert rows["STEMI-anterior"] == rows["capture-failure"] == "1 of 1"
    assert "hearts with the 24 scored diagnoses in turn" in [*rows][-1]
