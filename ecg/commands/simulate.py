"""Writes simulated 12-lead ECGs as Challenge files.

ecg simulate OUTPUT --records 40 --seed 7 [--diagnosis AF --fs 500 --seconds 10 --dialect 2020] [--plots]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ecg.report.plotting import plot_recording, title_of
from ecg.runtime.command import leave, run_command
from ecg.simulator.diagnoses import DIAGNOSES
from ecg.simulator.simulate import simulate_recording
from ecg.simulator.write import write_recording


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return run_command("ecg simulate", lambda: _simulate(arguments), "recordings written so far are whole")


def _simulate(arguments: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="ecg simulate", description="Write simulated, labelled 12-lead ECGs.")
    parser.add_argument("output", type=Path, help="folder for the recordings, made if absent")
    parser.add_argument("--records", type=int, default=40, help="how many recordings (40)")
    parser.add_argument("--seed", type=int, default=1, help="a number that names this set of recordings (1)")
    parser.add_argument("--diagnosis", help=f"{', '.join(DIAGNOSES)} or a SNOMED CT code; all in turn if left out")
    parser.add_argument("--fs", type=float, default=500, help="sampling frequency, 100 to 1000 Hz (500)")
    parser.add_argument("--seconds", type=float, default=10, help="length, s (10)")
    parser.add_argument("--dialect", choices=["2020", "2021"], default="2020", help="of the header (2020)")
    parser.add_argument("--plots", action="store_true", help="also draw each recording as a PNG")
    options = parser.parse_args(arguments)
    if options.records < 1 or options.seed < 0:
        found = f"{options.records} and {options.seed}"
        raise ValueError(f"expected --records of at least 1 and --seed of at least 0, found {found}")
    for k in range(1, options.records + 1):
        simulated = simulate_recording(options.seed, k, options.diagnosis, options.fs, options.seconds)
        name = f"SIM{k:05d}"
        write_recording(options.output, name, simulated, dialect=options.dialect)
        if options.plots:
            title = title_of(name, simulated.labels)
            plot_recording(simulated.signal, options.fs, options.output / f"{name}.png", title)
    print(f"{options.records} recordings in {options.output}")
    return 0


if __name__ == "__main__":
    leave(main())
