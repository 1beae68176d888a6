"""`ecg convert`: from what electrocardiographs write to Challenge files, DICOM, EDF, CSV, aECG or SCP-ECG."""

from pathlib import Path

import click

from ecg.commands import options
from ecg.runtime.command import command
from ecg.runtime.shards import Shard


@command("convert", "the recordings written so far are whole, the same command with --resume converts the rest")
@options.recordings
@click.argument("output", type=options.PATH)
@click.option(
    "--to",
    type=click.Choice(["challenge", "dicom", "edf", "csv", "aecg", "scp"]),
    default="challenge",
    help="what to write: Challenge files (.hea and .mat), DICOM, EDF, CSV, HL7 aECG or SCP-ECG",
)
@options.statements
@click.option(
    "--keep-identity",
    is_flag=True,
    help="also write names, identifiers, birth date and date of the recording, where the files have them",
)
@click.option(
    "--anonymize",
    is_flag=True,
    help="leave out free text too, keep of dates the year, and keep no file in which a check finds a name, an "
    "identifier or a date of the original",
)
@options.workers
@options.resume
@options.shard
@options.allow_failures
def main(
    recordings: tuple[str, ...],
    output: Path,
    to: str,
    labels: str | None,
    keep_identity: bool,
    anonymize: bool,
    workers: int | None,
    resume: bool,
    shard: Shard,
    allow_failures: bool,
) -> int:
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

    n_converted, problems, summary = convert_recordings(
        recordings, output, ConvertOptions(workers or CORES, resume, shard, to, labels, keep_identity, anonymize)
    )
    for line in summary:
        print(line)
    print(f"{n_converted} recordings converted, {len(problems)} could not be; outputs in {output}")
    return 1 if problems and not allow_failures else 0
