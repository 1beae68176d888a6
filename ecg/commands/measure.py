"""Measure a folder of 12-lead ECG recordings: one row each in a table.

example:
  ecg measure recordings measurements.csv
  ecg measure recordings measurements.csv --beats marks --json measurements.jsonl
  ecg measure recordings measurements.csv --shard 3/16

The columns are the recording (its path in the folder, without suffix), rate (1/min), intervals (ms), axes (degrees),
amplitudes of the median beat per lead (mV), quality (uV), and what was wrong where a recording could not be measured.
A cell is empty where something is not measurable.

exit status: 0 all recordings measured, 1 some could not be (their rows say why), 2 it could not begin or not go on,
130 stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from ecg.runtime.command import leave, run_command
from ecg.runtime.shards import WHOLE, add_shard_option, parse_shard


def main(words: Sequence[str] | None = None) -> int:
    return run_command("ecg measure", lambda: _measure(words), "the same command with --resume measures the rest")


def _measure(words: Sequence[str] | None) -> int:
    from ecg.examination.measure_folder import EXTENSION, MeasureOptions, measure_folder

    parser = argparse.ArgumentParser(
        prog="ecg measure", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "recordings",
        type=Path,
        help="folder of recordings (Challenge files, DICOM, SCP-ECG, XML ...), in it or below it",
    )
    parser.add_argument("output", type=Path, help="table to write (CSV)")
    parser.add_argument(
        "--beats",
        type=Path,
        metavar="FOLDER",
        help=f"also write the waves of every beat as WFDB annotations, <record>.{EXTENSION}",
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="also write one JSON object per line and recording, with its median beat",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", default=os.cpu_count() or 1, help="processes (default: one for each core)"
    )
    parser.add_argument("--resume", action="store_true", help="keep what an earlier run has measured, measure the rest")
    add_shard_option(parser)
    parser.add_argument(
        "--allow-failures", action="store_true", help="exit with 0 even if some recordings could not be measured"
    )
    arguments = parser.parse_args(words)
    if arguments.workers < 1:
        raise ValueError(f"--workers {arguments.workers}: expected a whole number from 1 up")
    shard = parse_shard(arguments.shard)
    n_measured, problems = measure_folder(
        arguments.recordings,
        arguments.output,
        MeasureOptions(arguments.workers, arguments.resume, shard, arguments.beats, arguments.json),
    )
    place = f"table in {arguments.output}" if shard == WHOLE else f"shard {shard} of {arguments.output} is written"
    print(f"{n_measured} recordings measured, {len(problems)} could not be; {place}")
    return 1 if problems and not arguments.allow_failures else 0


if __name__ == "__main__":
    leave(main())
