"""`ecg compare`: what changed between two recordings of a patient."""

from pathlib import Path

from ecg.commands import options
from ecg.resources import shipped_models
from ecg.runtime.command import command


@command("compare")
@options.place("before")
@options.place("after")
@options.place("output")
@options.definitions
@options.models
@options.device
def main(
    before: Path, after: Path, output: Path, definitions: str | None, models: tuple[Path, ...], device: str
) -> int:
    """Compare two ECGs of a patient: measured changes and comparison statements of the AHA/ACC/HRS list.

    OUTPUT ends in .csv, .json or .html, which is a page with both median beats over one another. If BEFORE is a folder,
    AFTER is a table with the columns `record` and `patient`, a patient's earlier recordings first. Each recording is
    compared with the one before it. This is research software, not a medical device.

    \b
    examples:
      ecg compare before.dcm after.dcm changes.csv
      ecg compare before.hea after.hea changes.html
      ecg compare recordings patients.csv changes.json

    Exit status: 0 all compared, 1 some could not be, 2 the command could not start or continue, 130 Ctrl-C.
    """
    from ecg.decisions.conventions import DEFAULT
    from ecg.inference.classifier import load_model
    from ecg.inference.interpret_recordings import NO_DEVICE, interpret_recordings
    from ecg.interpretation.comparison import Ecg, compare
    from ecg.io.files import write_file
    from ecg.io.inputs import recording_path
    from ecg.report.comparison import Pair, changes_as_csv, changes_as_json, comparison_page, pairs_of
    from ecg.runtime.progress import say

    writers = {".csv": changes_as_csv, ".json": changes_as_json, ".html": comparison_page}
    kind = output.suffix.lower()
    if kind not in writers:
        raise ValueError(f"{output}: expected a name that ends in .csv, .json or .html")
    one = (Path(recording_path(before)), Path(recording_path(after)))
    wanted = list(pairs_of(before, after)) if before.is_dir() else [one]
    loaded = [load_model(folder, device=device) for folder in models or shipped_models()]
    paths = list(dict.fromkeys(path for pair in wanted for path in pair))
    found = dict(zip(paths, interpret_recordings(paths, loaded, definitions or DEFAULT), strict=True))
    for problem in filter(None, (each.problem for each in found.values())):
        say(problem)
    pairs = []
    for first, second in wanted:
        sides = [Ecg(one.measured, one.statements) for one in (found[first], found[second]) if one.measured is not None]
        if len(sides) == 2:
            pairs.append(Pair((first.stem, second.stem), sides[0], sides[1], compare(*sides)))
    if pairs:
        write_file(output, writers[kind](pairs))
    written = f"written to {output}" if pairs else "nothing was written"
    print(f"{len(pairs)} of {len(wanted)} pairs compared; {written}. {NO_DEVICE}")
    return 0 if len(pairs) == len(wanted) else 1
