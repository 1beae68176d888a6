"""Writes simulated 12-lead ECGs as Challenge files.

ecg simulate OUTPUT --records 40 --seed 7 [--diagnosis AF --fs 500 --seconds 10 --dialect 2020] [--plots] [--resume]

Each recording depends on the seed and its own number alone: --from and --shard make a part.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ecg.report.plotting import plot_recording, title_of
from ecg.runtime.command import leave, run_command
from ecg.runtime.progress import say
from ecg.runtime.shards import add_shard_option, parse_shard
from ecg.simulator.diagnoses import DIAGNOSES, STATEMENTS, diagnosis_of
from ecg.simulator.folder import Options, simulate_folder
from ecg.simulator.simulate import SETS, Simulated, check


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return run_command(
        "ecg simulate", lambda: _simulate(arguments), "recordings written so far are whole, --resume goes on"
    )


def _simulate(arguments: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="ecg simulate", description="Write simulated, labelled 12-lead ECGs.")
    parser.add_argument("output", type=Path, help="folder for the recordings, made if absent")
    parser.add_argument("--records", type=int, default=40, help="how many recordings (40)")
    parser.add_argument("--from", type=int, default=1, dest="first", help="number of the first one to make (1)")
    parser.add_argument("--seed", type=int, default=1, help="a number that names this set of recordings (1)")
    parser.add_argument("--diagnosis", help="an abbreviation or SNOMED CT code; all of --diagnoses in turn if left out")
    parser.add_argument(
        "--diagnoses",
        choices=list(SETS),
        default="challenge",
        help=f"challenge ({', '.join(DIAGNOSES)}) or statements ({', '.join(STATEMENTS)})",
    )
    parser.add_argument("--fs", type=float, default=500, help="sampling frequency, 100 to 1000 Hz (500)")
    parser.add_argument("--seconds", type=float, default=10, help="length, s (10)")
    parser.add_argument("--dialect", choices=["2020", "2021"], default="2020", help="of the header (2020)")
    parser.add_argument("--plots", action="store_true", help="also draw each recording as a PNG")
    parser.add_argument("--resume", action="store_true", help="keep the recordings that an earlier run has written")
    add_shard_option(parser)
    given = parser.parse_args(arguments)
    if given.seed < 0 or not 1 <= given.first <= given.records:
        found = f"{given.records}, {given.first} and {given.seed}"
        raise ValueError(f"expected --records of at least 1, --from up to that and --seed of at least 0, found {found}")
    options = Options(given.seed, given.diagnosis, given.diagnoses, given.fs, given.seconds, given.dialect)
    check(options.sampling_frequency, options.seconds)
    if options.diagnosis is not None:
        diagnosis_of(options.diagnosis)
    shard = parse_shard(given.shard)
    numbers = [k for k in range(given.first, given.records + 1) if shard.has(k - 1)]

    def draw(name: str, simulated: Simulated) -> None:
        plot_recording(simulated.signal, given.fs, given.output / f"{name}.png", title_of(name, simulated.labels))

    outcome = simulate_folder(given.output, numbers, options, resume=given.resume, see=draw if given.plots else None)
    for problem in outcome.problems:
        say(f"ecg simulate: {problem}")
    kept = f", {outcome.kept} of them from an earlier run" if outcome.kept else ""
    print(f"{outcome.written + outcome.kept} recordings in {given.output}{kept}")
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    leave(main())
