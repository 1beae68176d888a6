"""What labelled recordings of a hospital are worth: a model adapted to some of them, tested on the others."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ecg.arrays import Bools
from ecg.decisions.adaptation import Decided, adapt_to, choose
from ecg.decisions.conventions import CONVENTIONS
from ecg.inference.classifier import load_model
from ecg.io.label_tables import load_labels
from ecg.labels.diagnoses import Diagnoses
from ecg.scoring.statistics import main_metric
from ecg.studies.markdown_tables import table as markdown
from ecg.training.adapt_model import N_FOLDS, classify, read_labelled

SIZES = (20, 50, 100, 200)
DRAWS = 20
_FEWEST_TESTED = 20


def measure_adaptation(
    data: Path, model_folder: Path, *, labels: str | None = None, sizes: Sequence[int] = SIZES, seed: int = 2020
) -> str:
    """A Markdown table: the metric on recordings that had no part, for each number of recordings adapted to.

    `data`: labelled recordings that the model was not trained on. `labels`: the recordings' diagnoses, see
    `ecg.io.label_tables.load_labels`; those of headers if left out. `sizes`: recordings to adapt to, drawn `DRAWS`
    times each; those that would leave fewer than 20 to test are left out. `seed`: of the draws.
    """
    model = load_model(model_folder, device="cpu")
    with tempfile.TemporaryDirectory() as cache:
        table = load_labels(labels, model.method.diagnoses.column_of, 0.0) if labels else None
        dataset, _ = read_labelled(model, data, Path(cache), table)
        truth, decided = dataset.labels, classify(model, dataset)
    diagnoses = model.method.diagnoses
    fixed = ", ".join(
        f"{name or 'no convention'} {main_metric(truth, each.outputs, diagnoses):.3f}" for name, each in decided.items()
    )
    lines = []
    for size in sizes:
        if len(truth) - size < _FEWEST_TESTED:
            continue
        rng = np.random.default_rng([seed, size])
        drawn = [_draw(truth, decided, rng.permutation(len(truth)) < size, diagnoses) for _ in range(DRAWS)]
        before, after = np.array([metrics for metrics, _ in drawn]).T
        low, high = np.quantile(after - before, [0.025, 0.975])
        names = [name for _, name in drawn]
        shares = (f"{name} {names.count(name)}" for name in (*CONVENTIONS, None) if name in names)
        gain = f"{(after - before).mean():+.3f} ({low:+.3f} to {high:+.3f})"
        chosen = ", ".join(shares).replace("None", "none")
        lines.append([size, f"{before.mean():.3f}", f"{after.mean():.3f}", gain, chosen])
    columns = ["adapted to", "by itself", "adapted", "gain (95 % of the draws)", "chosen"]
    return f"{len(truth)} recordings. Without labels: {fixed}.\n\n{markdown(columns, lines)}"


def _draw(
    labels: Bools, decided: Mapping[str | None, Decided], chosen: Bools, diagnoses: Diagnoses
) -> tuple[tuple[float, float], str | None]:
    """The metric of the others, by the model itself and adapted to the chosen ones; and the convention taken."""
    given = {name: each.of(chosen) for name, each in decided.items()}
    name, penalty = choose(labels[chosen], given, np.arange(chosen.sum()) % N_FOLDS)
    fitted = adapt_to(labels[chosen], given, name, penalty, diagnoses.weights)
    outputs = decided[name].outputs
    if fitted is not None:
        outputs = fitted.decide(fitted.apply(decided[name].scores), diagnoses.weights)
    itself = next(iter(decided.values())).outputs
    before, after = (main_metric(labels[~chosen], each[~chosen], diagnoses) for each in (itself, outputs))
    return (before, after), name
