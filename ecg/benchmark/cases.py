"""What the benchmark measures: files, the plain side, the project's side, and the check that they agree."""

from __future__ import annotations

import contextlib
import io
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import get_ident
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ecg.benchmark import reference as plain
from ecg.benchmark.measure import Machine, Measured, Measurement, Options, Row, Sides
from ecg.decisions.thresholds import coordinate_ascent, shared_threshold
from ecg.evaluation.challenge import compute_challenge_metric, load_weights
from ecg.evaluation.score_folder import evaluate_model, load_outputs
from ecg.inference.predict import make_batch
from ecg.inference.run_folder import READERS, run_folder
from ecg.io.recording import read_recording
from ecg.leads import LEADS
from ecg.methods.base import Batch, Method
from ecg.methods.registry import find_methods
from ecg.model_folder.folder import Member, Model, as_stored, load_model, save_model
from ecg.runtime.device import pick_device
from ecg.simulator.simulate import simulate_recording
from ecg.simulator.write import write_recording
from ecg.training.dataset import Dataset, build_dataset
from ecg.training.options import MemberOptions
from ecg.training.trainer import train_member

MEMBERS = 5
SCORED_RECORDINGS = 37_749  # of the Challenge's training recordings have a scored diagnosis
CPU = torch.device("cpu")
GRID = np.arange(101) / 100


def methods() -> tuple[Method, Method]:
    """The faithful method and the shipped one; the command knows the methods, nothing else of the engine does."""
    builders = find_methods()
    return builders["zhao"](), builders["robust"]()


def plain_way_in(method: Method, resample: Callable[[plain.Signal, int, int], plain.Signal]) -> plain.WayIn:
    """The method's preprocessing, lead by lead, with this way to resample."""
    rate, band = round(method.input.sampling_frequency), method.input.band
    if band is not None:
        return lambda signal, fs: plain.band_pass_plainly(resample(signal, round(fs), rate), *band, rate)
    factor = np.float32({"uV": 1000.0, "mV": 1.0}[method.input.units])
    return lambda signal, fs: resample(signal, round(fs), rate) * factor


def simulate(folder: Path, n_recordings: int, seed: int, seconds: float = 10) -> None:
    for k in range(1, n_recordings + 1):
        write_recording(folder, f"SIM{k:05d}", simulate_recording(seed, k, seconds=seconds))


def headers_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.hea"))


def quietly() -> contextlib.AbstractContextManager[Any]:
    """Progress lines are for users, and there would be hundreds."""
    return contextlib.redirect_stderr(io.StringIO())


# --- Driver -------------------------------------------------------------------------------------------------------


def is_of(model: Path, method: Method) -> bool:
    return bool(json.loads((model / "config.json").read_text())["method"] == method.name)


def make_model(folder: Path, method: Method, recordings: Sequence[Path], options: Options, members: int) -> None:
    """A model folder of so many members: those of the options' models that are of the method, or else random ones."""
    found: list[tuple[dict[str, Tensor], NDArray[np.float64]]] = []
    for model in options.models:
        if is_of(model, method):
            networks, thresholds = plain.load_plainly(model, method)
            found += [(network.state_dict(), row) for network, row in zip(networks, thresholds, strict=True)]
    if not found:
        found = [
            (_random_weights(method, recordings, options.seed + k), np.full(len(method.classes), 0.5))
            for k in range(members)
        ]
    nothing = np.empty(0, dtype=np.int64), np.empty((0, len(method.classes)))
    chosen = [found[k % len(found)] for k in range(members)]
    save_model(
        folder,
        method,
        [Member(as_stored(state), thresholds, *nothing, [{"epoch": 0}]) for state, thresholds in chosen],
        {},
        [{}] * members,
    )


def _random_weights(method: Method, recordings: Sequence[Path], seed: int) -> dict[str, Tensor]:
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        network = method.build_network().train()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.momentum = None  # the statistics become those of the one batch
        method.forward(network, _first_windows(method, recordings[:16]))
    return network.state_dict()


def _first_windows(method: Method, recordings: Sequence[Path]) -> Batch:
    windows, features = [], []
    for path in recordings:
        header, signal = read_recording(path)
        windows.append(method.input.windows(method.input.preprocess(signal, header.sampling_frequency))[0])
        features.append(method.input.demographics(header))
    return make_batch(windows, features, CPU)


def count_multiply_adds(method: Method, network: nn.Module, batch: Batch) -> int:
    """Multiply-adds of the convolutions and linear layers in one forward pass; all the rest is left out."""
    total = 0

    def count(module: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal total
        kernel = module.get_parameter("weight")[0]  # each output is a product with one of these
        total += output.numel() * kernel.numel()

    hooks = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, (nn.Conv1d, nn.Linear))
    ]
    with torch.no_grad():
        method.forward(network, batch)
    for hook in hooks:
        hook.remove()
    return total


class Watch:
    """A method whose forward passes in other threads than this one are noted, by thread."""

    def __init__(self, method: Method) -> None:
        self._forward, self._own_thread = method.forward, get_ident()
        self.passes: dict[int, list[tuple[float, float]]] = {}
        self.method = replace(method, forward=self.forward)

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        start = time.perf_counter()
        logits = self._forward(network, batch)
        if get_ident() != self._own_thread:  # what is tried before the first recording is no judging
            self.passes.setdefault(get_ident(), []).append((start, time.perf_counter()))
        return logits

    def idle(self) -> float:
        """Share of the threads' time, from each one's first forward pass to its last, in which it was in none."""
        inside = sum(end - start for passes in self.passes.values() for start, end in passes)
        whole = sum(passes[-1][1] - passes[0][0] for passes in self.passes.values())
        return 1 - inside / whole if whole else math.nan


def drive(model: Model, recordings: Path, output: Path) -> float:
    """What driver.py does without options, once the model is loaded; the share of its time the network was idle."""
    watch = Watch(model.method)
    with quietly():
        run_folder(replace(model, method=watch.method), recordings, output, workers=READERS)
    return watch.idle()


def load(folder: Path) -> Model:
    """As driver.py does without options."""
    return load_model(folder, find_methods(), pick_device())


def _against(method: Method, reference: Method) -> str:
    return method.name if reference is method else f"{method.name} against plain {reference.name}"


class Driver(Measurement):
    name, default_records = "driver", 384
    plain_takes = slice(None, None, 4)  # of the recordings: one costs it what the next one does

    def prepare(self) -> None:
        simulate(self.folder / "recordings", self.n_recordings, self.options.seed)
        for method in methods():
            make_model(self.folder / method.name, method, headers_of(self.folder / "recordings"), self.options, MEMBERS)

    def sides(self) -> Sides:
        return {
            f"{method.name}, {way}": partial(opened, method)
            for method in methods()
            for way, opened in (("plain", self._open_plainly), ("driver", self._open))
        }

    def _open_plainly(self, method: Method) -> Callable[[], None]:
        networks, thresholds = plain.load_plainly(self.folder / method.name, method)
        return partial(
            plain.judge_plainly,
            method,
            plain_way_in(method, plain.resample_plainly),
            networks,
            thresholds,
            headers_of(self.folder / "recordings")[self.plain_takes],
            self.folder / f"{method.name}-plain",
        )

    def _open(self, method: Method) -> Callable[[], float]:
        return partial(
            drive, load(self.folder / method.name), self.folder / "recordings", self.folder / f"{method.name}-driver"
        )

    def rows(self, measured: Measured, machine: Machine) -> list[Row]:
        headers = headers_of(self.folder / "recordings")
        n_bytes = sum(path.with_suffix(".mat").stat().st_size for path in headers)

        def row(method: Method, reference: Method, target: float | None, check: str) -> Row:
            adds = count_multiply_adds(method, method.build_network().eval(), _first_windows(method, headers[:1]))
            floor = machine.floor(len(headers) * MEMBERS * adds, n_bytes, network=True)
            return Row(
                f"driver, {_against(method, reference)}",
                f"{reference.name}, plain",
                f"{method.name}, driver",
                len(headers),
                target,
                floor,
                check,
                scale=len(headers) / len(headers[self.plain_takes]),
            )

        faithful, shipped = methods()
        return [
            row(faithful, faithful, 2.2, self._agreement(faithful)),
            row(shipped, faithful, 4.0, "next line"),
            row(shipped, shipped, None, self._agreement(shipped)),
        ]

    def _agreement(self, method: Method) -> str:
        stems = [path.stem for path in headers_of(self.folder / "recordings")[self.plain_takes]]
        (labels, scores), (found_labels, found_scores) = (
            load_outputs([self.folder / f"{method.name}-{way}" / f"{stem}.csv" for stem in stems], method.classes)
            for way in ("plain", "driver")
        )
        return (
            f"{np.mean(labels == found_labels):.2%} of labels, scores within {np.abs(scores - found_scores).max():.4f}"
        )

    def notes(self, measured: Measured) -> list[str]:
        shares = []
        for method in methods():
            given = any(is_of(model, method) for model in self.options.models)
            idle = measured.results[f"{method.name}, driver"]
            shares.append(f"{method.name}, {'trained' if given else 'random'} weights: {idle:.1%}")
        return [
            "Driver: share of its time in which a network thread was not in the network, while other threads read "
            f"and preprocessed: {'; '.join(shares)}."
        ]


class Growth(Measurement):
    """The driver with the shipped method, one thing doubled at a time."""

    name, default_records = "growth", 128
    SECONDS = 60  # of the long recordings: several windows, so that a doubled length is twice as many

    def prepare(self) -> None:
        few = max(self.n_recordings // 4, 1)
        for folder, n_recordings, seconds in (
            ("base", self.n_recordings, 10),
            ("more", 2 * self.n_recordings, 10),
            ("long", few, self.SECONDS),
            ("longer", few, 2 * self.SECONDS),
        ):
            simulate(self.folder / folder, n_recordings, self.options.seed, seconds)
        for members in (MEMBERS, 2 * MEMBERS):
            make_model(
                self.folder / f"model-{members}", methods()[1], headers_of(self.folder / "base"), self.options, members
            )

    def sides(self) -> Sides:
        return {
            name: partial(self._open, folder, members)
            for name, folder, members in (
                ("base", "base", MEMBERS),
                ("recordings", "more", MEMBERS),
                ("long", "long", MEMBERS),
                ("length", "longer", MEMBERS),
                ("members", "base", 2 * MEMBERS),
            )
        }

    def _open(self, recordings: str, members: int) -> Callable[[], float]:
        return partial(drive, load(self.folder / f"model-{members}"), self.folder / recordings, self.folder / "outputs")

    def rows(self, measured: Measured, machine: Machine) -> list[Row]:
        return []

    def notes(self, measured: Measured) -> list[str]:
        few = max(self.n_recordings // 4, 1)
        begins = {
            "recordings": ("base", f"{self.n_recordings} of 10 s, {MEMBERS} members"),
            "length": ("long", f"{few} of {self.SECONDS} s, {MEMBERS} members"),
            "members": ("base", f"{self.n_recordings} of 10 s, {MEMBERS} members"),
        }
        lines = [
            f"How the driver grows ({methods()[1].name}); an exponent of 1 is time in proportion:",
            "",
            "| doubled | from | seconds | exponent of time | peak memory, MB |",
            "|---|---|---|---|---|",
        ]
        for what, (base, begin) in begins.items():
            before, after = measured.seconds[base], measured.seconds[what]
            lines.append(
                f"| {what} | {begin} | {before:.2f} to {after:.2f} | {np.log2(after / before):.2f} | "
                f"{measured.peaks[base]:.0f} to {measured.peaks[what]:.0f} |"
            )
        return ["\n".join(lines)]


# --- Preprocessing ------------------------------------------------------------------------------------------------


class Preprocessing(Measurement):
    name, default_records = "preprocessing", 64

    def prepare(self) -> None:
        simulate(self.folder / "recordings", self.n_recordings, self.options.seed)

    def sides(self) -> Sides:
        return {
            f"{method.name}, {way}": partial(self._open, way_in)
            for method in methods()
            for way, way_in in (
                ("plain", plain_way_in(method, plain.resample_plainly)),
                ("project", method.input.preprocess),
            )
        }

    def _open(self, way_in: plain.WayIn) -> Callable[[], list[plain.Signal]]:
        read = [read_recording(path) for path in headers_of(self.folder / "recordings")]
        return lambda: [way_in(signal, header.sampling_frequency) for header, signal in read]

    def rows(self, measured: Measured, machine: Machine) -> list[Row]:
        rows = []
        for method in methods():
            expected, found = (measured.results[f"{method.name}, {way}"] for way in ("plain", "project"))
            error = max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(expected, found, strict=True))
            n_outputs, rate = sum(signal.size for signal in found), method.input.sampling_frequency
            # Taps that fall on input samples; five second-order sections of five products, forward and backward.
            each = 20 * 500 / rate + (0 if method.input.band is None else 50)
            n_bytes = 4 * n_outputs * (1 + 500 / rate)
            # The rate is that of all cores, and one is at work.
            floor = machine.floor(n_outputs * each * torch.get_num_threads(), n_bytes)
            rows.append(
                Row(
                    f"preprocessing, {method.name}",
                    f"{method.name}, plain",
                    f"{method.name}, project",
                    len(found),
                    3.0,
                    floor,
                    f"within {error:.0e} of a recording's largest value",
                )
            )
        return rows


# --- Training -----------------------------------------------------------------------------------------------------


class Training(Measurement):
    """One epoch of each method on the CPU."""

    name, default_records = "training", 192
    device, target = CPU, 1.8

    def prepare(self) -> None:
        # One more than are trained on: something must be left to validate on.
        simulate(self.folder / "recordings", self.n_recordings + 1, self.options.seed)
        for method in methods():
            self._dataset(method)

    def _dataset(self, method: Method, cache: str = "cache") -> Dataset:
        with quietly():
            return build_dataset(method, self.folder / "recordings", self.folder / cache / method.name, workers=1)[0]

    def sides(self) -> Sides:
        return {
            f"{method.name}, {way}": partial(opened, method)
            for method in methods()
            for way, opened in (("plain", self._open_plainly), ("project", self._open))
        }

    def _open_plainly(self, method: Method) -> Callable[[], nn.Module]:
        return partial(
            plain.train_plainly,
            method,
            plain_way_in(method, plain.interpolate_plainly),
            headers_of(self.folder / "recordings")[:-1],
            self._dataset(method),
            1,
            self.options.seed,
            self.device,
        )

    def _open(self, method: Method) -> Callable[[], None]:
        dataset = self._dataset(method)
        rows = np.arange(dataset.n_recorded)  # the plain way simulates none beside them

        def train() -> None:
            with quietly():
                options = MemberOptions(epochs=1, seed=self.options.seed, number=0, device=self.device)
                train_member(method, dataset, rows[:-1], rows[-1:], options)

        return train

    def rows(self, measured: Measured, machine: Machine) -> list[Row]:
        machine = machine if self.device == machine.device else Machine.measure(self.device)

        def row(method: Method, reference: Method, target: float | None) -> Row:
            dataset, rng = self._dataset(method), np.random.default_rng(self.options.seed)
            batch = make_batch([method.training.augment(dataset.signal(0), rng)], [dataset.demographics(0)], CPU)
            adds = 3 * count_multiply_adds(method, method.build_network().eval(), batch)  # forward and two gradients
            floor = machine.floor(self.n_recordings * adds, self.n_recordings * batch.signal.nbytes, network=True)
            return Row(
                f"{self.name}, {_against(method, reference)}",
                f"{reference.name}, plain",
                f"{method.name}, project",
                self.n_recordings,
                target,
                floor,
                "see --seeds",
            )

        faithful, shipped = methods()
        return [row(faithful, faithful, self.target), row(shipped, faithful, self.target), row(shipped, shipped, None)]

    def notes(self, measured: Measured) -> list[str]:
        costs = []
        for method in methods():
            start = time.perf_counter()
            self._dataset(method, "anew")
            costs.append(f"{method.name} {1000 * (time.perf_counter() - start) / (self.n_recordings + 1):.1f} ms")
        return [
            f"Training: reading and preprocessing, once for all epochs, takes for each recording on one core: "
            f"{'; '.join(costs)}."
        ]


class TrainingOnGPU(Training):
    """The same on the GPU."""

    name, default_records = "training on a GPU", 2048
    device, target = torch.device("cuda"), 10.0

    def notes(self, measured: Measured) -> list[str]:
        faithful = methods()[0].name
        rate = self.n_recordings / measured.seconds[f"{faithful}, project"]
        return [
            f"{torch.cuda.get_device_name()}: {faithful} at {rate:.0f} recordings per second, measured on "
            f"{self.n_recordings}. Extrapolated from this, the published schedule (5 folds of 50 epochs, four "
            f"fifths of 43,101 recordings each) takes {5 * 50 * 0.8 * 43_101 / rate / 60:.0f} minutes."
        ]


def compare_seeds(folder: Path, options: Options, n_seeds: int, epochs: int = 6) -> str:
    """The challenge metric on recordings held out, of networks that the plain loop and the project have trained."""
    n_recordings, method = options.records or 240, methods()[1]
    simulate(folder / "recordings", n_recordings, options.seed)
    headers = headers_of(folder / "recordings")
    with quietly():
        dataset, _ = build_dataset(method, folder / "recordings", folder / "cache", workers=1)
    cut = max(3 * n_recordings // 4, 1)
    rows, way_in = np.arange(dataset.n_recorded), plain_way_in(method, plain.interpolate_plainly)
    _, weights = load_weights(classes=method.classes)

    def score(probabilities: NDArray[np.float64]) -> float:
        return shared_threshold(
            dataset.labels[cut : dataset.n_recorded],
            probabilities,
            lambda labels, outputs: compute_challenge_metric(weights, labels, outputs, method.classes),
            method.decision.decide,
            np.arange(1, 10) / 10,
        )[1]

    plainly, ours = [], []
    for seed in range(options.seed, options.seed + n_seeds):
        network = plain.train_plainly(method, way_in, headers[:cut], dataset, epochs, seed, CPU).eval()
        plainly.append(
            score(
                np.stack([plain.probabilities_plainly(method, way_in, [network], path)[1][0] for path in headers[cut:]])
            )
        )
        with quietly():
            member_options = MemberOptions(epochs=epochs, seed=seed, number=0, device=CPU)
            member = train_member(method, dataset, rows[:cut], rows[cut:], member_options)
        ours.append(score(member.probabilities))

    def words(scores: list[float]) -> str:
        return f"{', '.join(f'{value:.3f}' for value in scores)} (mean {np.mean(scores):.3f})"

    return (
        f"Validation challenge metric, {method.name}, {cut} recordings to train on, {n_recordings - cut} held out, "
        f"{epochs} epochs, seeds from {options.seed}: plain {words(plainly)}, project {words(ours)}."
    )


# --- Scoring and thresholds ---------------------------------------------------------------------------------------


class Scoring(Measurement):
    name, default_records = "scoring", SCORED_RECORDINGS

    def prepare(self) -> None:
        classes, _ = load_weights()
        labels, probabilities = _draw(self.n_recordings, len(classes), self.options.seed)
        for folder in ("labels", "outputs"):
            (self.folder / folder).mkdir()
        for k, (row, scores) in enumerate(zip(labels, probabilities, strict=True)):
            codes = ",".join(code for code, flag in zip(classes, row, strict=True) if flag) or "164884008"
            name = f"SIM{k:05d}"
            (self.folder / "labels" / f"{name}.hea").write_text(
                f"{name} 12 500 5000\n"
                + "".join(f"{name}.mat 16+24 1000/mV 16 0 0 0 0 {lead}\n" for lead in LEADS)
                + f"#Age: 60\n#Sex: Female\n#Dx: {codes}\n#Rx: Unknown\n#Hx: Unknown\n#Sx: Unknown\n"
            )
            lines = (classes, map(str, (scores > 0.5).astype(int)), (f"{score:.6f}" for score in scores))
            (self.folder / "outputs" / f"{name}.csv").write_text(f"#{name}\n" + "\n".join(map(",".join, lines)) + "\n")

    def sides(self) -> Sides:
        folders = self.folder / "labels", self.folder / "outputs"
        return {
            "plain": lambda: partial(plain.score_plainly, *folders),
            "project": lambda: partial(evaluate_model, *folders),
        }

    def rows(self, measured: Measured, machine: Machine) -> list[Row]:
        expected, found = measured.results["plain"], measured.results["project"]
        known = {name: [value] for name, value in found.overall.items()}
        known |= {f"{name} by class": found.by_class[name] for name in ("AUROC", "AUPRC", "F-measure")}
        error = max(
            float(np.nanmax(np.abs(np.subtract(values, known[name])), initial=0)) for name, values in expected.items()
        )
        n_bytes = sum(
            path.stat().st_size for folder in ("labels", "outputs") for path in (self.folder / folder).iterdir()
        )
        return [
            Row(
                "scoring", "plain", "project", self.n_recordings, 10.0, machine.floor(0, n_bytes), f"within {error:.0e}"
            )
        ]


class Thresholds(Measurement):
    name, default_records = "thresholds", SCORED_RECORDINGS

    def _problem(self) -> tuple[Any, ...]:
        """Labels, probabilities, weights, decision rule, score and start."""
        method = methods()[0]
        _, weights = load_weights(classes=method.classes)
        labels, probabilities = _draw(self.n_recordings, len(method.classes), self.options.seed)

        def score(labels: NDArray[np.bool_], outputs: NDArray[np.bool_]) -> float:
            return compute_challenge_metric(weights, labels, outputs, method.classes)

        return labels, probabilities, weights, method.decision.decide, score, np.full(len(method.classes), 0.5)

    def sides(self) -> Sides:
        return {"plain": self._open_plainly, "project": self._open}

    def _open_plainly(self) -> Callable[[], NDArray[np.float64]]:
        labels, probabilities, _, decide, score, start = self._problem()
        return partial(plain.search_grid_plainly, labels, probabilities, score, decide, start, n_classes=1)

    def _open(self) -> Callable[[], NDArray[np.float64]]:
        labels, probabilities, weights, decide, _, start = self._problem()
        search = partial(coordinate_ascent, labels, probabilities, weights, decide)
        return lambda: search(search(start, candidates=GRID))

    def rows(self, measured: Measured, machine: Machine) -> list[Row]:
        labels, probabilities, weights, decide, score, start = self._problem()
        grid = coordinate_ascent(labels, probabilities, weights, decide, start, candidates=GRID)
        metrics = [score(labels, decide(probabilities, found)) for found in (measured.results["project"], grid)]
        return [
            Row(
                "thresholds",
                "plain",
                "project",
                self.n_recordings,
                50.0,
                machine.floor(0, labels.nbytes + probabilities.nbytes),
                f"metric {metrics[0]:.6f}, on the grid {metrics[1]:.6f}",
                scale=len(start),
            )
        ]


def _draw(n_recordings: int, n_classes: int, seed: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Labels of which one in twelve is positive, and scores that tell something of them."""
    rng = np.random.default_rng(seed)
    labels = rng.random((n_recordings, n_classes)) < 1 / 12
    return labels, 1 / (1 + np.exp(2 - 2.5 * labels - 1.5 * rng.normal(size=labels.shape)))
