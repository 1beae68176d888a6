"""Convert ECGs: from what electrocardiographs write to Challenge files, and to DICOM, EDF or CSV.

    ecg convert INPUT OUTPUT
    ecg convert INPUT OUTPUT --labels labels.csv
    ecg convert INPUT OUTPUT --to dicom

exit status: 0 all recordings converted, 1 some could not be, 2 it could not begin or not go on, 130 stopped with
Ctrl-C.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ecg.runtime.command import leave, run_command


def main(words: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return run_command("ecg convert", lambda: _convert(words), "the recordings written so far are whole")


def _convert(words: Sequence[str] | None) -> int:
    from ecg.examination.convert_folder import convert_recordings

    parser = argparse.ArgumentParser(
        prog="ecg convert", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "input", type=Path, help="a file, or a folder of files in any of the formats, with folders below"
    )
    parser.add_argument("output", type=Path, help="another folder for the recordings, made if absent")
    parser.add_argument(
        "--to",
        choices=["challenge", "dicom", "edf", "csv", "aecg"],
        default="challenge",
        help="what to write: Challenge files (.hea and .mat), DICOM, EDF, CSV or HL7 aECG (default: %(default)s)",
    )
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="take diagnoses from the device's statements by this CSV file of statement and code, and by "
        "the table of common statements; 'common' for the latter alone",
    )
    parser.add_argument(
        "--keep-identity",
        action="store_true",
        help="also write names, identifiers, birth date and date of the recording, where the files have them",
    )
    parser.add_argument(
        "--anonymize",
        action="store_true",
        help="leave out free text too, keep of dates the year, and keep no file in which a check finds a name, an "
        "identifier or a date of the original",
    )
    parser.add_argument(
        "--allow-failures", action="store_true", help="exit with 0 even if some recordings could not be converted"
    )
    arguments = parser.parse_args(words)
    if arguments.anonymize and arguments.keep_identity:
        raise ValueError("--anonymize: expected it without --keep-identity, found both")
    n_converted, problems, summary = convert_recordings(
        arguments.input,
        arguments.output,
        arguments.to,
        labels=arguments.labels,
        keep_identity=arguments.keep_identity,
        anonymize=arguments.anonymize,
    )
    for line in summary:
        print(line)
    print(f"{n_converted} recordings converted, {len(problems)} could not be; outputs in {arguments.output}")
    return 1 if problems and not arguments.allow_failures else 0


if __name__ == "__main__":
    leave(main())
