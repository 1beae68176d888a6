"""`ecg convert`: from what electrocardiographs write to Challenge files, DICOM, EDF, CSV, aECG or SCP-ECG."""

from pathlib import Path
from typing import Any

import click

from ecg.commands import options
from ecg.runtime.command import command


@command("convert", "the recordings written so far are whole, the same command with --resume converts the rest")
@options.recordings
@options.place("output")
@click.option(
    "--to",
    type=click.Choice(["challenge", "dicom", "edf", "csv", "aecg", "scp"]),
    default="challenge",
    help="what to write: Challenge files (.hea and .mat), DICOM, EDF, CSV, HL7 aECG or SCP-ECG",
)
@options.statements
@options.flag(
    "--keep-identity",
    help="also write names, identifiers, birth date and date of the recording, where the files have them",
)
@options.flag(
    "--anonymize",
    help="leave out free text too, keep of dates the year, and keep no file in which a check finds a name, an "
    "identifier or a date of the original",
)
@options.workers
@options.resume
@options.shard
@options.allow_failures
def main(recordings: tuple[str, ...], output: Path, workers: int | None, allow_failures: bool, **options: Any) -> int:
    """Convert ECGs to Challenge files, DICOM, EDF, CSV, aECG or SCP-ECG, in the folder OUTPUT.

    \b
    examples:
      ecg convert recordings converted
      ecg convert recordings converted --labels labels.csv
      ecg convert 'export/*.xml' converted --to dicom

    Exit status: 0 all recordings converted, 1 some could not be, 2 the command could not start or continue, 130 Ctrl-C.
    """
    from ecg.examination.convert_folder import ConvertOptions, convert_recordings
    from ecg.examination.examine_folder import CORES

    how = ConvertOptions(workers or CORES, **options)
    n_converted, problems, summary = convert_recordings(recordings, output, how)
    for line in summary:
        print(line)
    print(f"{n_converted} recordings converted, {len(problems)} could not be; outputs in {output}")
    return 1 if problems and not allow_failures else 0
