"""What the benchmark measures: the files of each job, its two sides, and the check that they agree."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ecg.arrays import Bools, Floats, Signal
from ecg.decisions.thresholds import coordinate_ascent, shared_threshold
from ecg.examination.examine_folder import CORES
from ecg.inference.fast_cpu import make_fast
from ecg.inference.predict import make_batch
from ecg.inference.run_folder import ClassifyOptions, run_folder
from ecg.io.header import Header
from ecg.io.recording import read_recording
from ecg.leads import LEADS
from ecg.measurements import boundary_network as marks
from ecg.measurements import measure as measure_ecg
from ecg.methods.base import Batch, Method, Preprocess
from ecg.methods.registry import find_methods
from ecg.model_folder.folder import load_model, save_model
from ecg.model_folder.model import Member, Model, as_stored
from ecg.networks.toom_cook import use_toom_cook
from ecg.runtime.device import fastest_dtype, pick_device
from ecg.runtime.extras import missing
from ecg.runtime.threads import limit_blas_threads
from ecg.scoring.challenge import compute_challenge_metric, load_weights
from ecg.scoring.score_folder import evaluate_model, load_outputs
from ecg.simulator.simulate import simulate_recording
from ecg.simulator.truth import truth_of
from ecg.simulator.write import write_recording
from ecg.studies.benchmark import reference
from ecg.studies.benchmark.measure import Machine, ProcessorTime, Row, Side, Timing, measure
from ecg.studies.markdown_tables import table
from ecg.training.dataset import Dataset, build_dataset
from ecg.training.member import train_member
from ecg.training.options import MemberOptions

MEMBERS = 5
HALF_AN_HOUR = 1800  # s
LONG = 60  # s: several windows, so that twice the length is twice as many
SCORED_RECORDINGS = 37_749  # of the Challenge's training recordings have a scored diagnosis
CPU = torch.device("cpu")
GRID = np.arange(101) / 100


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    records: int | None  # None: each measurement's own number
    repeats: int
    seed: int
    models: tuple[Path, ...]  # whose weights are used
    seeds: int = 0


@dataclass(frozen=True)
class Report:
    """Lines of the table, and paragraphs below it."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def get_methods(measurements: bool = True) -> list[Method]:
    """The published one, the one whose inputs the default has, and the default; that one's networks alone if told."""
    builders = find_methods()
    return [builders["zhao"](), builders["robust"](), builders["hybrid"](measurements=measurements)]


def simulate(folder: Path, n_recordings: int, seed: int, seconds: float = 10) -> list[Path]:
    """Write simulated recordings; their header files."""
    numbers = range(1, n_recordings + 1)
    return [write_recording(folder, f"SIM{k:05d}", simulate_recording(seed, k, seconds=seconds)) for k in numbers]


def rows_by_method(
    what: str,
    methods: Sequence[Method],
    n_recordings: int,
    timings: Sequence[Timing],
    bounds: Sequence[float],
    checks: Sequence[str],
    targets: Sequence[float],
    scale: float = 1.0,
) -> list[Row]:
    """The published method; each other one against the reference of the published one, and against its own.

    `timings` are those of each method's reference and project, `checks` of its own agreement; `targets` are the
    published method's and the last one's, the default.
    """
    published, theirs = methods[0].name, timings[0]
    rows = [Row(f"{what}, {published}", n_recordings, theirs, timings[1], bounds[0], checks[0], targets[0], scale)]
    pairs = zip(timings[2::2], timings[3::2], strict=True)
    for method, (own, ours), bound, check in zip(methods[1:], pairs, bounds[1:], checks[1:], strict=True):
        target = targets[1] if method is methods[-1] else None
        against = f"{what}, {method.name} against reference {published}"
        rows.append(Row(against, n_recordings, theirs, ours, bound, "next line", target, scale))
        rows.append(Row(f"{what}, {method.name}", n_recordings, own, ours, bound, check, None, scale))
    return rows


def count_multiply_adds(method: Method, batch: Batch, device: torch.device, *, training: bool = False) -> int:
    """Multiply-adds of the convolutions and matrix products in one forward pass; all the rest is left out.

    They are those of the way that is computed on the device: Toom-Cook filtering has fewer than the sums that define
    them. The counting itself is done on the CPU.
    """
    network, dtype = method.build_network().eval(), fastest_dtype(device)
    if device.type == "cpu" and not training:
        [network] = make_fast(method, [network], dtype)
    elif device.type == "cpu" and dtype == torch.float32:
        use_toom_cook(network, fixed=False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        method.forward(network, batch)
    return int(counter.get_total_flops()) // 2


def count_measuring() -> int:
    """Multiply-adds of the network that marks boundaries: at each lead alone, then at all of them."""
    return sum(
        values.size * marks.N_SAMPLES * (len(LEADS) if name.startswith("lead") else 1)
        for name, values in marks.parameters().items()
        if values.ndim == 3
    )


def first_windows(method: Method, header_files: Sequence[Path]) -> Batch:
    read = [read_recording(path) for path in header_files]
    signals = [method.input.preprocess(signal, header.sampling_frequency) for header, signal in read]
    features = [reference.features_of(method, header, signal) for header, signal in read]
    return make_batch([method.input.windows(signal)[0] for signal in signals], features, CPU)


def random_network(method: Method, header_files: Sequence[Path], seed: int) -> nn.Module:
    """A network with its first weights, and in its batch norms the statistics of some recordings."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        network = method.build_network().train()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.momentum = None  # the statistics become those of the one batch
        method.forward(network, first_windows(method, header_files[:16]))
    return network


def make_model(folder: Path, method: Method, header_files: Sequence[Path], options: Options, n_members: int) -> str:
    """Write a model with the networks of the options' models of this method, "trained", or else with "random" ones."""
    given: list[tuple[nn.Module, Floats]] = []
    for path in options.models:
        model = load_model(path, find_methods(), CPU)
        if (model.method.name, model.method.settings) == (method.name, method.settings):
            given += zip(model.networks, model.thresholds, strict=True)
    half = np.full(len(method.classes), 0.5)
    pairs = given or [(random_network(method, header_files, options.seed), half)]
    validated = np.empty(0, dtype=np.int64), np.empty((0, len(method.classes)))
    members = [
        Member(as_stored(network.state_dict()), thresholds, *validated, [{"epoch": 0}])
        for network, thresholds in islice(cycle(pairs), n_members)
    ]
    save_model(folder, method, members, {}, [{}] * n_members)
    return "trained" if given else "random"


def run_driver(recordings: Path, output: Path, model: Model) -> float:
    """What driver.py does without options; the share of the cores' time that its processes had."""
    with ProcessorTime() as spent:
        run_folder(model, recordings, output)
    return spent.total / (CORES * spent.seconds)


def measure_driver(folder: Path, options: Options, machine: Machine) -> Report:
    methods, recordings = get_methods(), folder / "recordings"
    headers = simulate(recordings, options.records or 384, options.seed)
    some = headers[::4]  # for the reference: one recording costs it what the next one does
    n_bytes, scale = sum(path.with_suffix(".mat").stat().st_size for path in headers), len(headers) / len(some)
    sides, bounds, weights = [], [], []
    for method in methods:
        place = folder / method.name
        weights.append(make_model(place, method, headers, options, MEMBERS))
        for device, run in (
            (CPU, partial(reference.reference_run_folder, some, place / "reference")),
            (pick_device(), partial(run_driver, recordings, place / "project")),
        ):
            sides.append(Side(run, partial(load_model, place, find_methods(), device)))
        adds = len(headers) * MEMBERS * count_multiply_adds(method, first_windows(method, headers[:1]), pick_device())
        measuring = 0 if method.signal_part is None else machine.lower_bound(len(headers) * count_measuring(), 0)
        bounds.append(machine.lower_bound(adds, n_bytes, network=True) + measuring)
    stored = [path for each in options.models for path in (each, each / "distilled")]
    stored = [path for path in stored if (path / "config.json").exists()]
    outputs = [folder / f"stored-{k}" for k in range(len(stored))]
    for path, place in zip(stored, outputs, strict=True):
        load = partial(load_model, path, find_methods(), pick_device())
        sides.append(Side(partial(run_driver, recordings, place), load))
    timings = measure(sides, options.repeats)
    checks, busy = [], []
    for method, given, timing in zip(methods, weights, timings[1 : 2 * len(methods) : 2], strict=True):
        one, other = (folder / method.name / side for side in ("reference", "project"))
        checks.append(_agreement(one, other, some, method.classes))
        busy.append(f"{method.name}, {given} weights: {timing.result:.1%}")
    counted, kept = timings[: 2 * len(methods)], timings[2 * len(methods) :]
    rows = rows_by_method("driver", methods, len(headers), counted, bounds, checks, (2.2, 10.0), scale)
    for path, place, timing in zip(stored, outputs, kept, strict=True):
        model = load_model(path, find_methods(), CPU)
        exact = folder / f"{place.name}-exact"
        run_folder(model, [str(header) for header in some], exact, ClassifyOptions(deterministic=True))
        name = path.name if path in options.models else f"{path.parent.name}/{path.name}"
        count = len(model.networks)
        adds = len(headers) * count * count_multiply_adds(model.method, first_windows(model.method, headers[:1]), CPU)
        against = f"driver, {name}/ as it is ({count} networks) against reference {methods[0].name}"
        check = f"{_agreement(exact, place, some, model.method.classes)} (against --deterministic)"
        bound, target = machine.lower_bound(adds, n_bytes, network=True), 40.0 if path.name == "distilled" else 15.0
        rows.append(Row(against, len(headers), timings[0], timing, bound, check, target, scale))
        busy.append(f"{name}/: {timing.result:.1%}")
    return Report(rows, [f"Driver: share of the cores' time that its processes had: {'; '.join(busy)}."])


def _agreement(one: Path, other: Path, header_files: Sequence[Path], classes: Sequence[str]) -> str:
    """How far two folders of outputs agree."""
    (labels, scores), (found_labels, found_scores) = (
        load_outputs([place / f"{path.stem}.csv" for path in header_files], classes) for place in (one, other)
    )
    error = np.abs(scores - found_scores).max()
    return f"{np.mean(labels == found_labels):.2%} of labels, scores within {error:.4f}"


def measure_growth(folder: Path, options: Options, machine: Machine) -> Report:
    """The driver with the default method, one thing doubled at a time."""
    method, n_recordings = get_methods()[-1], options.records or 128
    few = max(n_recordings // 4, 1)
    base, long = (n_recordings, 10, MEMBERS), (few, LONG, MEMBERS)  # recordings, seconds of each, members
    doubled = {
        "recordings": (base, (2 * n_recordings, 10, MEMBERS)),
        "length": (long, (few, 2 * LONG, MEMBERS)),
        "members": (base, (n_recordings, 10, 2 * MEMBERS)),
    }
    sides = {}
    for size in dict.fromkeys(size for pair in doubled.values() for size in pair):
        place = folder / "-".join(map(str, size))
        headers = simulate(place / "recordings", size[0], options.seed, size[1])
        make_model(place / "model", method, headers, options, size[2])
        load = partial(load_model, place / "model", find_methods(), pick_device())
        sides[size] = Side(partial(run_driver, place / "recordings", place / "outputs"), load)
    timings = dict(zip(sides, measure(list(sides.values()), options.repeats), strict=True))
    lines = []
    for what, (size, twice) in doubled.items():
        before, after = timings[size], timings[twice]
        sizes, seconds = f"{size[0]} of {size[1]} s, {size[2]} members", f"{before.seconds:.2f} to {after.seconds:.2f}"
        exponent = f"{math.log2(after.seconds / before.seconds):.2f}"
        lines.append([what, sizes, seconds, exponent, f"{before.peak_memory:.0f} to {after.peak_memory:.0f}"])
    head = f"How the driver grows ({method.name}); an exponent of 1 is time in proportion:"
    columns = ["doubled", "from", "seconds", "exponent of time", "peak memory, MB"]
    return Report(notes=[f"{head}\n\n{table(columns, lines)}"])


def preprocess_all(preprocess: Preprocess, read: list[tuple[Header, Signal]]) -> list[Signal]:
    return [preprocess(signal, header.sampling_frequency) for header, signal in read]


def read_all(header_files: Sequence[Path]) -> list[tuple[Header, Signal]]:
    return [read_recording(path) for path in header_files]


def measure_preprocessing(folder: Path, options: Options, machine: Machine) -> Report:
    headers, rows = simulate(folder, options.records or 64, options.seed), []
    load = partial(read_all, headers)
    for method in get_methods()[:2]:  # the default's is that of the second
        ways: list[Preprocess] = [partial(reference.reference_preprocess, method), method.input.preprocess]
        expected, found = measure([Side(partial(preprocess_all, way), load) for way in ways], options.repeats)
        pairs = zip(expected.result, found.result, strict=True)
        error = max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs)
        n_outputs, step = sum(signal.size for signal in found.result), 500 / method.input.sampling_frequency
        # Taps that fall on input samples; five second-order sections of five products, forward and backward.
        adds = n_outputs * (20 * step + (0 if method.input.band is None else 50))
        # The rate is that of all cores, and one is at work.
        bound = machine.lower_bound(adds * torch.get_num_threads(), 4 * n_outputs * (1 + step))
        check = f"within {error:.0e} of a recording's largest value"
        rows.append(Row(f"preprocessing, {method.name}", len(headers), expected, found, bound, check, 3.0))
    return Report(rows)


def make_dataset(method: Method, recordings: Path, cache: Path) -> Dataset:
    return build_dataset(method, recordings, cache, workers=1)[0]


def train(method: Method, n_training: int, epochs: int, seed: int, device: torch.device, dataset: Dataset) -> Member:
    """The project's training on the first recordings, the others held out; it takes no simulated ones beside them."""
    rows = np.split(np.arange(dataset.n_recorded), [n_training])
    options = MemberOptions(epochs=epochs, seed=seed, number=0, device=device)
    return train_member(method, dataset, rows[0], rows[1], options)


def measure_training(folder: Path, options: Options, machine: Machine) -> Report:
    methods, device, on_gpu = get_methods(measurements=False), machine.device, machine.device.type == "cuda"
    what, default, target = ("training on a GPU", 2048, 10.0) if on_gpu else ("training", 192, 1.8)
    n_recordings, recordings = options.records or default, folder / "recordings"
    # One more than are trained on: something must be left to validate on.
    headers = simulate(recordings, n_recordings + 1, options.seed)
    sides, bounds, costs = [], [], []
    for method in methods:
        load, start = partial(make_dataset, method, recordings, folder / method.name), time.perf_counter()
        dataset = load()
        costs.append(f"{method.name} {1000 * (time.perf_counter() - start) / len(headers):.1f} ms")
        sides.append(Side(partial(reference.reference_train, method, headers[:-1], 1, options.seed, device), load))
        sides.append(Side(partial(train, method, n_recordings, 1, options.seed, device), load))
        item = method.training.augment(dataset.signal(0), np.random.default_rng(options.seed))
        batch = make_batch([item], [dataset.features(0)], CPU)
        adds = count_multiply_adds(method, batch, device, training=True)
        # Forward and two gradients.
        bounds.append(machine.lower_bound(3 * n_recordings * adds, n_recordings * item.nbytes, network=True))
    timings = measure(sides, options.repeats)
    checks = ["see --seeds"] * len(methods)
    rows = rows_by_method(what, methods, n_recordings, timings, bounds, checks, (target, target))
    note = "reading and preprocessing, once for all epochs, takes for each recording on one core"
    return Report(rows, [f"{what.capitalize()}: {note}: {'; '.join(costs)}."])


def measure_training_on_gpu(folder: Path, options: Options, machine: Machine) -> Report:
    if not torch.cuda.is_available():
        return Report(notes=["Training on a GPU: not measured, no GPU here."])
    rows = measure_training(folder, options, Machine.measure(torch.device("cuda"))).rows
    rate = rows[0].n_recordings / rows[0].project.seconds
    note = (
        f"{torch.cuda.get_device_name()}: {get_methods()[0].name} at {rate:.0f} recordings per second, measured on "
        f"{rows[0].n_recordings}. Extrapolated from this, the published schedule (5 folds of 50 epochs, four "
        f"fifths of 43,101 recordings each) takes {5 * 50 * 0.8 * 43_101 / rate / 60:.0f} minutes."
    )
    return Report(rows, [note])


def compare_seeds(folder: Path, options: Options, machine: Machine, epochs: int = 6) -> Report:
    """The challenge metric on held-out recordings, of networks that the reference and the project have trained."""
    if not options.seeds:
        return Report()
    method, n_recordings = get_methods(measurements=False)[-1], options.records or 240
    headers = simulate(folder / "recordings", n_recordings, options.seed)
    dataset = make_dataset(method, folder / "recordings", folder / "cache")
    cut = max(3 * n_recordings // 4, 1)
    metric = partial(compute_challenge_metric, load_weights(classes=method.classes)[1], classes=method.classes)
    scores: dict[str, list[float]] = {"reference": [], "project": []}
    for seed in range(options.seed, options.seed + options.seeds):
        networks = [reference.reference_train(method, headers[:cut], epochs, seed, CPU, dataset).eval()]
        way = reference.reference_interpolate
        passes = [reference.reference_pass(method, networks, path, way) for path in headers[cut:]]
        by_reference = [probabilities[0] for probabilities, _ in passes]
        by_project = train(method, cut, epochs, seed, CPU, dataset).probabilities
        for side, found in (("reference", np.stack(by_reference)), ("project", by_project)):
            labels, decide = dataset.labels[cut : dataset.n_recorded], method.decision.decide
            scores[side].append(shared_threshold(labels, found, metric, decide, GRID[10:100:10])[1])
    words = [f"{side} {', '.join(f'{x:.3f}' for x in s)} (mean {np.mean(s):.3f})" for side, s in scores.items()]
    note = (
        f"Validation challenge metric, {method.name}, {cut} recordings to train on, {n_recordings - cut} held out, "
        f"{epochs} epochs, seeds from {options.seed}: {', '.join(words)}."
    )
    return Report(notes=[note])


def draw(n_recordings: int, n_classes: int, seed: int) -> tuple[Bools, Floats]:
    """Labels of which one in twelve is positive, and scores that tell something of them."""
    rng = np.random.default_rng(seed)
    labels = rng.random((n_recordings, n_classes)) < 1 / 12
    return labels, 1 / (1 + np.exp(2 - 2.5 * labels - 1.5 * rng.normal(size=labels.shape)))


def write_scoring_files(labels_folder: Path, outputs_folder: Path, n_recordings: int, seed: int) -> int:
    """Headers and outputs to score; their size in bytes."""
    labels_folder.mkdir()
    outputs_folder.mkdir()
    classes, n_bytes = load_weights()[0], 0
    for k, (labels, scores) in enumerate(zip(*draw(n_recordings, len(classes), seed), strict=True)):
        name, codes = f"SIM{k:05d}", ",".join(np.array(classes)[labels]) or "164884008"
        leads = "".join(f"{name}.mat 16+24 1000/mV 16 0 0 0 0 {lead}\n" for lead in LEADS)
        comments = f"#Age: 60\n#Sex: Female\n#Dx: {codes}\n#Rx: Unknown\n#Hx: Unknown\n#Sx: Unknown\n"
        n_bytes += (labels_folder / f"{name}.hea").write_text(f"{name} 12 500 5000\n{leads}{comments}")
        lines = classes, (str(int(score > 0.5)) for score in scores), (f"{score:.6f}" for score in scores)
        n_bytes += (outputs_folder / f"{name}.csv").write_text("\n".join([f"#{name}", *map(",".join, lines), ""]))
    return n_bytes


def measure_scoring(folder: Path, options: Options, machine: Machine) -> Report:
    n_recordings, folders = options.records or SCORED_RECORDINGS, (folder / "labels", folder / "outputs")
    bound = machine.lower_bound(0, write_scoring_files(*folders, n_recordings, options.seed))
    sides = [Side(partial(reference.reference_score, *folders)), Side(partial(evaluate_model, *folders))]
    expected, found = measure(sides, options.repeats)
    differences = [found.result.overall[name] - value for name, value in expected.result.overall.items()]
    for name, values in expected.result.by_class.items():
        differences += list(found.result.by_class[name] - values)
    check = f"within {np.nanmax(np.abs(differences), initial=0):.0e}"
    return Report([Row("scoring", n_recordings, expected, found, bound, check, 10.0)])


def search(method: Method, problem: tuple[Bools, Floats]) -> tuple[Floats, Floats]:
    """The project's search: thresholds of a pass on the grid, and of another from there that is exact."""
    _, weights = load_weights(classes=method.classes)
    start = np.full(len(method.classes), 0.5)
    grid = coordinate_ascent(*problem, weights, method.decision.decide, start, candidates=GRID)
    return grid, coordinate_ascent(*problem, weights, method.decision.decide, grid)


def measure_thresholds(folder: Path, options: Options, machine: Machine) -> Report:
    method, n_recordings = get_methods()[0], options.records or SCORED_RECORDINGS
    load = partial(draw, n_recordings, len(method.classes), options.seed)
    # One class by the reference: it takes as long for each.
    sides = [Side(partial(reference.reference_search, method, 1), load), Side(partial(search, method), load)]
    expected, found = measure(sides, options.repeats)
    labels, probabilities = load()
    metric = partial(compute_challenge_metric, load_weights(classes=method.classes)[1], labels, classes=method.classes)
    grid, exact = (metric(method.decision.decide(probabilities, thresholds)) for thresholds in found.result)
    bound = machine.lower_bound(0, labels.nbytes + probabilities.nbytes)
    check = f"metric {exact:.6f}, on the grid {grid:.6f}"
    return Report([Row("thresholds", n_recordings, expected, found, bound, check, 50.0, len(method.classes))])


def simulated_signals(numbers: Sequence[int], seed: int, seconds: float = 10) -> list[tuple[Signal, float]]:
    drawn = [simulate_recording(seed, k, seconds=seconds) for k in numbers]
    return [(each.signal, each.sampling_frequency) for each in drawn]


def measure_all(recordings: Sequence[tuple[Signal, float]]) -> Floats:
    """QRS durations by the project, ms."""
    return np.array([measure_ecg(signal, fs).qrs_ms for signal, fs in recordings])


def describe_differences(differences: Floats) -> str:
    known = differences[np.isfinite(differences)]
    return f"{known.mean():.1f} ± {known.std():.1f} of {len(known)}" if len(known) else "none measured"


def measure_measurements(folder: Path, options: Options, machine: Machine) -> Report:
    """On one core; compared only where NeuroKit2 is installed."""
    limit_blas_threads()
    numbers = range(1, (options.records or 64) + 1)
    load = partial(simulated_signals, numbers, options.seed)
    long = Side(measure_all, partial(simulated_signals, [1], options.seed, HALF_AN_HOUR))
    sides = [Side(measure_all, load), long]
    has_neurokit = find_spec("neurokit2") is not None
    if has_neurokit:
        sides.append(Side(reference.reference_measure, load))
    found, found_long, *expected = measure(sides, options.repeats)
    notes = [
        f"Measurements, on one core: {1000 * found.seconds / len(numbers):.1f} ms for a recording of 10 s (target 3), "
        f"{found_long.seconds:.2f} s and {found_long.peak_memory:.0f} MB for one of {HALF_AN_HOUR / 60:g} minutes."
    ]
    if not has_neurokit:
        return Report(notes=[*notes, f"Measurements not compared: {missing('neurokit2')}."])
    truth = np.array([truth_of(simulate_recording(options.seed, k)).qrs_ms for k in numbers])
    signals = load()
    n_bytes = sum(signal.nbytes for signal, _ in signals)
    # The rate is that of all cores, and one is at work.
    bound = machine.lower_bound(len(numbers) * count_measuring() * torch.get_num_threads(), n_bytes)
    theirs, ours = (describe_differences(side.result - truth) for side in (expected[0], found))
    check = f"QRS less the true one, ms: {theirs}, {ours}"
    return Report([Row("measurements", len(numbers), expected[0], found, bound, check)], notes)
