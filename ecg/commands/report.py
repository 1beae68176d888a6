"""`ecg report`: pages for people, of recordings or of a model's evaluation."""

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ecg.commands import options
from ecg.runtime.command import command
from ecg.runtime.shards import WHOLE, Shard


@command("report", "files written so far are whole, the same command with --resume writes the rest")
@click.argument("folders", nargs=-1, required=True, metavar="INPUT... REPORT", type=options.PATH)
@options.flag("--evaluation", help="evaluate a model: LABELS OUTPUTS [OUTPUTS2] REPORT")
@options.diagnoses
@options.model
@options.flag(
    "--attribution",
    help="show where the network looked, for up to three findings of each recording; takes about a second per finding",
)
@options.flag("--pdf", help="also a printable A4 page of each recording")
@options.flag("--single", help="one self-contained file, up to 50 recordings")
@click.option(
    "--layout", type=click.Choice(["3x4", "6x2", "12x1"]), default="3x4", help="of the leads, which a page shows first"
)
@click.option("--note", default="", show_default=False, help="a sentence for the top of each page")
@options.resume
@options.device
@options.workers
@options.deterministic
@options.shard
@options.allow_failures
@click.pass_context
def main(
    context: click.Context,
    /,
    folders: tuple[Path, ...],
    evaluation: bool,
    diagnoses: str | None,
    model: Path,
    resume: bool,
    device: str,
    workers: int | None,
    deterministic: bool,
    shard: Shard,
    allow_failures: bool,
    **pages: Any,
) -> int:
    """Write a report for people: recordings on ECG paper with findings and measurements, or a model's evaluation.

    \b
    examples:
      ecg report recordings report
      ecg report recordings report --shard 3/16   (16 of these, then the same with --resume alone)
      ecg report --evaluation labels outputs report
      ecg report --evaluation labels outputs other_outputs report

    Exit status: 0 all recordings have a page, 1 some could not be classified (their rows say why; not with
    --evaluation), 2 the command could not start or continue, 130 Ctrl-C.
    """
    if evaluation:
        _check_evaluation(context, len(folders))
        from ecg.labels.diagnoses import DEFAULT, load_diagnoses
        from ecg.report.evaluation import evaluation_report

        given, *outputs, report = folders
        wanted = load_diagnoses(diagnoses or DEFAULT)
        evaluation_report(given, outputs, report, note=pages["note"], diagnoses=wanted)
        print(f"Open {report / 'index.html'} in a browser")
        return 0
    if len(folders) < 2:
        raise click.UsageError("expected INPUT... REPORT, found one path")
    for option in ("--pdf", "--shard"):
        if pages["single"] and _is_given(context, option[2:]):
            raise click.UsageError(f"--single {option}: expected one of them, found both; one process writes one file")
    from ecg.examination.examine_folder import CORES
    from ecg.inference.classifier import load_model
    from ecg.inference.run_folder import ClassifyOptions
    from ecg.report.recordings import Options, report_folder

    *recordings, report = folders
    options.say_ignored(recordings)
    how = ClassifyOptions(workers or CORES, resume, shard, deterministic)
    outcome = report_folder(load_model(model, device=device), recordings, report, Options(**pages), how)
    then = f"open {report / 'index.html'} in a browser"
    if shard != WHOLE:
        then = "when all shards are done, the same command with --resume and without --shard writes the index"
    n_classified = outcome.classified_before + outcome.classified
    print(f"{n_classified} recordings classified, {len(outcome.problems)} could not be; {then}")
    return 1 if outcome.problems and not allow_failures else 0


def _check_evaluation(context: click.Context, n_folders: int) -> None:
    for param in context.command.get_params(context):
        if param.name not in ("folders", "evaluation", "note", "diagnoses") and _is_given(context, param.name or ""):
            words = f"expected one of them, found both; {param.opts[0]} is for recordings"
            raise click.UsageError(f"--evaluation {param.opts[0]}: {words}")
    if not 3 <= n_folders <= 4:
        raise click.UsageError(f"expected LABELS OUTPUTS [OUTPUTS2] REPORT, found {n_folders} folders")


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) == ParameterSource.COMMANDLINE
