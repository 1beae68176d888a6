"""Training as a command line gives it: method and model to start from by name and folder."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ecg.io.device_statements import load_statements
from ecg.methods.base import MethodBuilder, build_method
from ecg.methods.registry import DEFAULT_METHOD, find_methods
from ecg.model_folder.folder import load_model
from ecg.runtime.device import pick_device
from ecg.training.options import TrainingOptions
from ecg.training.trainer import train


def train_folder(
    data: str | os.PathLike[str],
    model: str | os.PathLike[str],
    *,
    method: str | None = None,
    members: int | None = None,
    epochs: int | None = None,
    seed: int = 2020,
    device: str = "auto",
    workers: int | None = None,
    limit: int | None = None,
    labels: str | None = None,
    resume: bool = False,
    spread_members: bool = False,
    start: str | os.PathLike[str] | None = None,
    methods: Mapping[str, MethodBuilder] | None = None,
    default_method: str = DEFAULT_METHOD,
) -> None:
    """Train a model on every recording of a folder and store it.

    Parameters
    ----------
    data, model : path
    method : str, optional
        One of `methods`, with settings where wanted (``butteam:width=12``); `default_method`, or that of `start`.
    members, epochs, seed, device, workers, limit, resume, spread_members
        See `ecg.training.options.TrainingOptions`.
    labels : str, optional
        CSV file of statements and codes, or "common", see `ecg.io.device_statements.load_statements`.
    start : path, optional
        A model folder, from whose weights the training starts.
    methods : Mapping of str to callable, optional
        The methods' builders by name, those of `find_methods` if not given.
    default_method : str
    """
    builders = find_methods() if methods is None else methods
    statements = load_statements(labels) if labels else None
    first = None if start is None else load_model(start, builders, pick_device("cpu"))
    text = default_method if method is None else method
    wanted = first.method if method is None and first is not None else build_method(text, builders)
    options = TrainingOptions(members, epochs, seed, device, workers, limit, statements, resume, spread_members, first)
    train(wanted, data, model, options)
