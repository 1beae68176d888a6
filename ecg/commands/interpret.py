"""`ecg interpret`: statements about recordings."""

from pathlib import Path

import click

from ecg.commands import options
from ecg.resources import shipped_models
from ecg.runtime.command import command


@command("interpret")
@options.recordings
@options.place("output")
@options.models
@options.flag("--criteria-only", help="measured criteria alone, without a model")
@options.definitions
@options.device
@options.allow_failures
def main(
    recordings: tuple[str, ...],
    output: Path,
    models: tuple[Path, ...],
    criteria_only: bool,
    definitions: str | None,
    device: str,
    allow_failures: bool,
) -> int:
    """Interpret 12-lead ECGs: statements of the AHA/ACC/HRS list with certainty and evidence.

    OUTPUT ends in .csv or .json and has a row for each statement: record, code, statement, certainty (definite,
    probable or possible; docs/statements.md says how often each is right), probability (empty where measurements alone
    say it) and evidence. What is acute comes first. This is research software, not a medical device.

    \b
    examples:
      ecg interpret recordings statements.csv
      ecg interpret recordings statements.json --definitions ptb-xl
      ecg interpret patient.dcm statements.csv --criteria-only

    Exit status: 0 all recordings interpreted, 1 some could not be, 2 the command could not start or continue, 130
    Ctrl-C.
    """
    from ecg.decisions.conventions import DEFAULT
    from ecg.inference.classifier import load_model
    from ecg.inference.interpret_recordings import NO_DEVICE, interpret_recordings, write_table
    from ecg.io.inputs import expand_inputs
    from ecg.runtime.progress import progress, say

    if output.suffix.lower() not in (".csv", ".json"):
        raise ValueError(f"{output}: expected a name that ends in .csv or .json")
    if criteria_only and models:
        raise click.UsageError("--criteria-only --model: expected one of them, found both")
    paths = [found.path for found in expand_inputs(recordings)]
    folders = () if criteria_only else models or shipped_models()
    wanted = definitions or DEFAULT
    found = interpret_recordings(paths, [load_model(folder, device=device) for folder in folders], wanted)
    done = write_table(output, progress(found, len(paths), "Interpreting"), wanted)
    problems = [each.problem for each in done if each.problem]
    for problem in problems:
        say(problem)
    acute = sum(any(one.acute for one in each.statements) for each in done)
    print(
        f"{len(done) - len(problems)} recordings interpreted ({acute} with an acute statement), {len(problems)} could "
        f"not be; statements in {output}. {NO_DEVICE}"
    )
    return 1 if problems and not allow_failures else 0
