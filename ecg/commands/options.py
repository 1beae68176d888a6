"""The options and arguments that several commands share, each declared once."""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import click

from ecg.resources import resource
from ecg.runtime.progress import say
from ecg.runtime.shards import WHOLE, Shard, parse_shard

PATH = click.Path(path_type=Path)  # what is wrong with it says who uses it
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
place: Callable[..., Decorator] = partial(click.argument, type=PATH)
flag: Callable[..., Decorator] = partial(click.option, is_flag=True)
number: Callable[..., Decorator] = partial(click.option, type=click.IntRange(1), metavar="N")
folder: Callable[..., Decorator] = partial(click.option, type=PATH, metavar="FOLDER")
file: Callable[..., Decorator] = partial(click.option, type=PATH, metavar="FILE")
several_folders: Callable[..., Decorator] = partial(folder, multiple=True)


class _ShardType(click.ParamType[Shard]):
    name = "K/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Shard:
        try:
            return value if isinstance(value, Shard) else parse_shard(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def say_ignored(given: Iterable[str | Path]) -> None:
    """Say how many files of the folders that were given belong to no recording, by their suffixes."""
    from ecg.io.formats import find_ignored

    files = (file for one in given if os.path.isdir(one) for file in find_ignored(one))
    kinds = Counter(Path(file).suffix.lower() or "without suffix" for file in files)
    if kinds and os.environ.get("RANK", "0") == "0":  # under torchrun the first process speaks
        counts = ", ".join(f"{count} {suffix}" for suffix, count in sorted(kinds.items()))
        say(f"Not looked at: {kinds.total()} files that are no recordings ({counts})")


def _inputs(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    say_ignored(given)
    return given


recordings = click.argument("recordings", nargs=-1, required=True, metavar="INPUT...", callback=_inputs)
_shipped: dict[str, Any] = {"default": lambda: resource("model"), "show_default": "the shipped model"}
model = folder("--model", **_shipped, help="folder of a trained model")
models = several_folders(
    "--model", "models", help="folder of a trained model, may be repeated (default: the shipped ones)"
)
definitions = click.option(
    "--definitions",
    type=click.Choice(["clinical", "ptb-xl"]),
    help="whose conventions: clinical as hospitals with MUSE or 12SL write it, ptb-xl as PTB-XL does  [default: the "
    "model's own, else clinical]",
)
device = click.option("--device", default="auto", metavar="NAME", help="auto, cpu, cuda or cuda:<number>")
workers = number("--workers", show_default="by the number of cores", help="processes that work on recordings")
resume = flag("--resume", help="keep what an earlier run has finished, do the rest")
shard = click.option(
    "--shard",
    type=_ShardType(),
    metavar="K/N",
    default=str(WHOLE),
    help="only the K-th of N equal shares of the recordings, for N processes on one or several machines",
)
deterministic = flag(
    "--deterministic",
    help="compute in float32, window by window: a result does not depend on the other recordings; takes longer",
)
allow_failures = flag("--allow-failures", help="exit with 0 even if some recordings failed")
diagnoses = click.option(
    "--diagnoses",
    metavar="NAME|FILE.csv",
    help="set of diagnoses: challenge-2020, challenge-2021, ptb-xl ..., or a file of one's own (default: the first)",
)
statements = click.option(
    "--labels",
    metavar="FILE",
    help="for clinical formats: take diagnoses from the device's statements by this CSV file of statement and code, "
    "and by the table of common statements; 'common' for the latter alone",
)
labels = click.option(
    "--labels",
    metavar="FILE",
    help="CSV file that the diagnoses are taken from, not the headers: records and their codes (also PTB-XL's "
    "ptbxl_database.csv); or, for clinical formats, the device's statements and their codes, 'common' for the table of "
    "common statements alone",
)
least_likelihood = click.option(
    "--least-likelihood",
    type=click.FloatRange(0, 100),
    default=0.0,
    metavar="PERCENT",
    help="of --labels with likelihoods take the codes from this one up",
)
leads = click.option(
    "--leads",
    metavar="12|6|4|3|2|NAMES",
    help="only these leads, by number as in the 2021 Challenge or by name (I,II,V2); a recording without one is left "
    "out (default: the leads that are there)",
)
training_leads = click.option(
    "--leads",
    metavar="12|6|4|3|2|NAMES|any",
    help="leads that the model uses and needs, by number as in the 2021 Challenge or by name (I,II,V2); any: all, but "
    "half of the training items lack those that smaller sets lack (default: the leads that are there)",
)
seed = click.option("--seed", type=click.IntRange(0), default=2020, help="random seed")
epochs = number("--epochs", help="epochs of each network (default: the method's schedule)")
limit = number("--limit", help="use only N recordings, to try things out")
