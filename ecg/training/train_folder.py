"""Training as a command line gives it: method and model to start from by name and folder."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ecg.io.files import StrPath
from ecg.io.label_tables import load_labels
from ecg.labels.diagnoses import CHALLENGE_2020, join, load_diagnoses
from ecg.leads import parse_leads
from ecg.methods.base import Method, MethodBuilder, build_method
from ecg.methods.reduced_leads import on_leads, with_masked_leads
from ecg.methods.registry import DEFAULT_METHOD, find_methods
from ecg.model_folder.folder import load_model
from ecg.runtime.device import pick_device
from ecg.training.options import TrainingOptions
from ecg.training.trainer import train


def train_folder(
    data: StrPath,
    model: StrPath,
    *,
    method: str | None = None,
    diagnoses: str | None = None,
    labels: str | None = None,
    least_likelihood: float = 0.0,
    leads: str | None = None,
    start: StrPath | None = None,
    shape_only: Sequence[str] = (),
    also: tuple[str, StrPath] | None = None,
    cache: StrPath | None = None,
    methods: Mapping[str, MethodBuilder] | None = None,
    default_method: str = DEFAULT_METHOD,
    **options: Any,
) -> None:
    """Train a model on every recording of a folder and store it.

    - `method`: one of `methods`, with settings where wanted (``butteam:width=12``); `default_method`, or that of
      `start`.
    - `diagnoses`: a set of diagnoses by name or file, see `ecg.labels.diagnoses`; that of the Challenge 2020, or
      of `start`.
    - `labels`: CSV file of records and codes, or of statements and codes, or "common", see
      `ecg.io.label_tables.load_labels`.
    - `least_likelihood`: of codes in `labels`, in percent.
    - `leads`: leads that the model looks at, by number or names, see `ecg.leads.parse_leads`; "any" for all, with
      those that smaller sets lack masked in half of the training items.
    - `start`: a model folder, from whose weights the training starts.
    - `shape_only`: databases in which the size of recordings is invented.
    - `also`: a second set of diagnoses and the folder of a model for it. The networks are trained on both sets;
      the two models differ in their outputs. A recording has the codes of its header and of `labels`; what it has
      no code of a set of, is not known there.
    - `methods`: the methods' builders by name, those of `find_methods` if not given.
    - `cache`, `members`, `epochs`, `seed`, `device`, `workers`, `limit`, `resume`, `spread_members`: see
      `ecg.training.options.TrainingOptions`.

    Raises ValueError if the method can't be trained on two sets, or would start from a model of one.
    """
    builders = find_methods() if methods is None else methods
    words = default_method if method is None else method
    first = None if start is None else load_model(start, builders, pick_device("cpu"))
    own = CHALLENGE_2020 if first is None else first.method.diagnoses
    wanted = own if diagnoses is None else load_diagnoses(diagnoses)
    if first is not None and method is None:
        first.require(wanted)
        chosen = first.method
    else:
        chosen = build_method(words, builders, wanted)
    parts: list[tuple[Method, Path]] = []
    if also is not None:
        if first is not None or chosen.training.select_classes is None:
            found = f"{chosen.name}, from {'a trained model' if start is not None else 'random weights'}"
            raise ValueError(f"also {also[0]}: expected the method hybrid, from random weights, found {found}")
        second = load_diagnoses(also[0])
        parts = [(chosen, Path(model)), (build_method(words, builders, second), Path(also[1]))]
        wanted = join(wanted, second)
        chosen = build_method(words, builders, wanted)
    if leads is not None:
        fit = with_masked_leads if leads == "any" else partial(on_leads, leads=parse_leads(leads))
        chosen, parts = fit(chosen), [(fit(part), folder) for part, folder in parts]
    table = load_labels(labels, wanted.column_of, least_likelihood) if labels else None
    options |= {"labels": table, "start": first, "shape_only": tuple(shape_only)}
    train(chosen, data, model, TrainingOptions(cache=None if cache is None else Path(cache), **options), parts)
