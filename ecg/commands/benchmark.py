"""`ecg benchmark`: how fast the project is and how accurate its measurements are, and what its constants come from."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from ecg.commands import options
from ecg.resources import resource
from ecg.runtime.command import Command

_SPEEDS = ("all", "driver", "folder", "preprocessing", "training", "scoring", "thresholds", "measurements")


@click.group("benchmark", subcommand_metavar="NAME ...")
def main() -> None:
    """Measure speed and accuracy, fit the constants of the measurements, draw the documents' pictures."""


@main.command("speed", cls=Command)
@click.argument("what", type=click.Choice(_SPEEDS), default="all")
@options.number("--records", help="recordings (default: each measurement's own number)")
@options.number("--repeats", default=5, help="turns of each side")
@options.seed
@options.several_folders("--model", "models", help="whose weights to use, may be repeated (default: the shipped model)")
@click.option(
    "--seeds",
    type=click.IntRange(0),
    metavar="N",
    default=0,
    help="with training: also train with N seeds both ways and compare the networks' challenge metric",
)
@options.file("--output", help="page to write, such as docs/performance.md")
def speed(what: str, models: tuple[Path, ...], seeds: int, output: Path | None, **options: Any) -> None:
    """Compare the project's speed with a straightforward reference, measured in the same run.

    The two sides of each measurement take turns, and the median of all turns counts. docs/performance.md says what each
    side does, and what the columns mean. What the page says before its section Measured is kept.
    """
    from ecg.studies.benchmark.cases import Options
    from ecg.studies.benchmark.run import run_benchmark

    if seeds and what not in ("training", "all"):
        raise ValueError(f"--seeds {seeds}: expected it with training, found {what}")
    words = shlex.join(["ecg", *sys.argv[1:]])
    run_benchmark(what, Options(models=models or (resource("model"),), seeds=seeds, **options), output, words)


@main.command("ludb", cls=Command)
@options.place("folder")
@options.place("truth")
@click.option("--refit", type=options.PATH, metavar="DATA", help="fit anew, without the recordings that are measured")
def ludb(folder: Path, truth: Path, refit: Path | None) -> None:
    """Compare measurements with cardiologists' marks: LUDB in FOLDER, the global intervals in the CSV file TRUTH."""
    from ecg.studies.measurement_accuracy import against_ludb

    print(against_ludb(folder, truth, refit))


@main.command("disturbed", cls=Command)
@options.place("folder", required=False)
@click.option("--records", type=click.IntRange(1), default=100, help="simulated recordings, without a folder")
@click.option("--seed", type=int, default=1)
def disturbed(folder: Path | None, records: int, seed: int) -> None:
    """Measurements of disturbed recordings against those of the same recordings as they are."""
    from ecg.studies.measurement_accuracy import against_undisturbed

    print(against_undisturbed(folder, records, seed))


@main.command("simulated", cls=Command)
@options.number("--records", default=2000, help="recordings")
@click.option("--seed", type=click.IntRange(0), default=1, help="of the simulator")
def simulated(records: int, seed: int) -> None:
    """Compare measurements with the simulator's truth."""
    from ecg.studies.measurement_accuracy import against_simulator

    print(against_simulator(records, seed))


@main.command("labels", cls=Command)
@options.place("data")
@click.option("--fold", type=int, help="only the recordings in this fold of folds.csv")
def labels(data: Path, fold: int | None) -> None:
    """Compare measurements with the labels of the Challenge recordings in DATA."""
    from ecg.studies.measurement_accuracy import against_labels
    from ecg.training.folds import in_folds

    print(against_labels(in_folds(data, () if fold is None else (fold,))))


@main.command("statements", cls=Command)
@options.place("data")
@options.several_folders(
    "--model",
    "models",
    help="folder of a trained model, may be repeated (default: none, measured criteria alone are counted)",
)
@options.definitions
@click.option("--fold", type=int, help="only the recordings in this fold of folds.csv")
def statements(data: Path, models: tuple[Path, ...], definitions: str | None, fold: int | None) -> None:
    """Count how many statements about the recordings in DATA are right by the diagnoses of their headers.

    Models must not have been trained on these recordings, as the shipped ones are on the databases that docs/results.md
    names.
    """
    from ecg.decisions.conventions import DEFAULT
    from ecg.studies.statement_quality import measure_statements

    print(measure_statements(data, models, definitions or DEFAULT, fold))


@main.command("acute", cls=Command)
@options.number("--records", default=40, help="of each finding")
@options.several_folders("--model", "models", help="may be repeated")
@click.option("--seed", type=click.IntRange(0), default=1, help="of the simulator")
def acute(records: int, models: tuple[Path, ...], seed: int) -> int:
    """Count the acute findings of simulated hearts that statements name, and false ones."""
    from ecg.studies.acute_sensitivity import measure_acute

    print(measure_acute(models, records, seed))
    return 0


@main.command("adaptation", cls=Command)
@options.model
@options.place("data")
@options.labels
@options.seed
def adaptation(model: Path, data: Path, labels: str | None, seed: int) -> None:
    """Measure what 20, 50, 100 and 200 labelled recordings in DATA are worth to `ecg adapt`.

    The model must not have been trained on these recordings.
    """
    from ecg.studies.adaptation_gain import measure_adaptation

    print(measure_adaptation(data, model, labels=labels, seed=seed))


@main.command("fit-measurements", cls=Command, when_stopped="the parameters are as they were")
@options.place("ludb")
@options.place("data")
@options.number("--steps", default=2500, help="of training the network")
def fit_measurements(ludb: Path, data: Path, steps: int) -> None:
    """Fit what the measurements have learned to LUDB and to Challenge recordings in DATA, with a folds.csv."""
    from ecg.training.fit_measurements import fit_folder

    fit_folder(ludb, data, steps)


@main.command("lead-reversal", cls=Command)
@options.place("data")
@click.option("--folds", type=int, multiple=True, help="only the recordings in this fold of folds.csv; may be repeated")
def lead_reversal(data: Path, folds: tuple[int, ...]) -> None:
    """Count the exchanged electrodes that are found, in recordings with limb leads exchanged on purpose."""
    from ecg.studies.lead_reversal import test
    from ecg.training.folds import in_folds

    print(test(in_folds(data, folds)))


@main.command("fit-lead-reversal", cls=Command)
@options.place("data")
def fit_lead_reversal(data: Path) -> None:
    """Print the constants by which exchanged electrodes are found, fitted to folds 1 to 8 of DATA."""
    from ecg.studies.lead_reversal import fit
    from ecg.training.folds import in_folds

    print(fit(in_folds(data, range(1, 9))))


@main.command("cost-quality", cls=Command)
@options.place("page")
@options.place("picture")
def cost_quality(page: Path, picture: Path) -> None:
    """Draw the table of cost and quality on a page, such as docs/performance.md, as a PNG file."""
    from ecg.studies.cost_quality import plot_costs, read_costs

    plot_costs(read_costs(page), picture)


@main.command("median-beats", cls=Command)
@options.place("picture")
def median_beats(picture: Path) -> None:
    """Draw median beats of simulated recordings with their marks as a PNG file."""
    from ecg.studies.median_beats import plot_median_beats

    plot_median_beats(picture)
