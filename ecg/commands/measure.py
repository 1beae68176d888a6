"""`ecg measure`: a table of measurements."""

from pathlib import Path
from typing import Any

from ecg.commands import options
from ecg.runtime.command import command
from ecg.runtime.shards import WHOLE, Shard


@command("measure", "the same command with --resume measures the rest")
@options.recordings
@options.place("table")
@options.folder("--beats", help="also write the waves of every beat as WFDB annotations, <record>.ecgm")
@options.file("--json", "json_file", help="also write one JSON object per line and recording, with its median beat")
@options.workers
@options.resume
@options.shard
@options.allow_failures
def main(
    recordings: tuple[str, ...], table: Path, workers: int | None, shard: Shard, allow_failures: bool, **options: Any
) -> int:
    """Measure 12-lead ECGs: one row each in a table.

    TABLE is the CSV file to write. Its columns are the recording's name, heart rate (1/min), intervals (ms), axes
    (degrees), amplitudes of the median beat per lead (mV), quality (uV), and what was wrong where a recording could not
    be measured. A cell is empty where something is not measurable.

    \b
    examples:
      ecg measure patient.dcm table.csv
      ecg measure recordings table.csv --beats marks --json measurements.jsonl
      ecg measure recordings table.csv --shard 3/16

    Exit status: 0 all recordings measured, 1 some could not be (their rows say why), 2 the command could not start or
    continue, 130 Ctrl-C.
    """
    from ecg.examination.examine_folder import CORES
    from ecg.examination.measure_folder import MeasureOptions, measure_folder

    how = MeasureOptions(workers or CORES, shard=shard, **options)
    n_measured, problems = measure_folder(recordings, table, how)
    place = f"table in {table}" if shard == WHOLE else f"shard {shard} of {table} is written"
    print(f"{n_measured} recordings measured, {len(problems)} could not be; {place}")
    return 1 if problems and not allow_failures else 0
