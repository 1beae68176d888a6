"""Fit what `ecg.measurements` has learned: the network that marks boundaries, and what tells P waves.

    ecg benchmark fit-measurements LUDB DATA [--steps 2500]

LUDB is the folder of that database's recordings with their annotations in each lead (Kalyakulina et al. 2020, IEEE
Access 8:186181-186190), DATA a folder of Challenge recordings, of which sinus rhythms and atrial fibrillation and
flutter are used, fold 9 of `folds.csv` excepted. Simulated recordings join both. Writes `fitted.safetensors` beside
this file. How far the measurements are off on recordings that had no part in the fit:
`ecg benchmark ludb --refit`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save
from torch import nn

from ecg.arrays import Bools, Floats, Floats32, Ints, Rng
from ecg.io.files import write_file
from ecg.io.formats import find_recordings
from ecg.io.recording import read_recording
from ecg.leads import LEADS
from ecg.measurements import boundary_network as marks
from ecg.measurements.measure import RATE, Prepared, outline, p_wave_evidence, periodic_waves_from, prepare
from ecg.measurements.median_beat import FUTURE, PAST
from ecg.runtime.progress import progress
from ecg.simulator.dipole import P_DURATION
from ecg.simulator.simulate import simulate_recording
from ecg.training.folds import read_folds

_SIMULATED, _SIMULATED_SEED = 1400, 11
_SIMULATED_RHYTHMS, _RHYTHMS_SEED = 2700, 22
_FROM_LUDB, _FROM_SIMULATOR = 8, 4  # in a batch
STEPS = 2500
_LEARNING_RATE = 4e-3
_P_HIDDEN, _P_STEPS, _P_RIDGE = 8, 300, 3e-4
_TARGET = 2.0  # samples, standard deviation of what the network is to say around a boundary
_INSIDE = 0.5  # see `with_leads`
_FEWEST = (6, 6, 8, 8, 8, 8)  # leads that must show a boundary
_FIBRILLATION, _FLUTTER, _PACED = "164889003", "164890007", "10370003"
_SINUS = {"426783006", "426177001", "427084000", "427393009"}


@dataclass(frozen=True)
class Example:
    """The beats of a recording and their boundaries."""

    beats: Floats32  # (n_beats, 12, N_SAMPLES), float32, mV
    whole: Floats  # (n_beats, 6), float64: samples from the first of a beat; NaN where unknown
    leads: Floats  # (n_beats, 12, 6), float64
    on: Bools  # (12,), bool


def _windows(prepared: Prepared, which: Ints) -> Floats32:
    past, future = round(PAST * RATE), round(FUTURE * RATE)
    padded = np.pad(prepared.signal, ((0, 0), (past, future)), mode="edge")
    pieces = np.stack([padded[:, beat : beat + past + future] for beat in prepared.beats[which]])
    step = round(RATE / marks.RATE)
    return pieces.reshape(len(pieces), len(LEADS), marks.N_SAMPLES, step).mean(axis=3)


# ---- LUDB ------------------------------------------------------------------------------------------------------------
def ludb_example(path: Path) -> Example:
    """A recording of LUDB with its marks; global ones are the second earliest onset and second latest offset."""
    import wfdb

    header, signal = read_recording(path)
    prepared = prepare(signal, header.sampling_frequency)
    if prepared is None:
        raise ValueError(f"{path}: expected beats, found none")
    used = np.flatnonzero(prepared.usable)
    beats = prepared.beats[used] * (header.sampling_frequency / RATE)
    leads = np.full((len(beats), len(LEADS), 6), np.nan)
    for k, lead in enumerate(LEADS):
        annotation = wfdb.rdann(str(path.with_suffix("")), lead.lower())
        waves = _waves(annotation.sample.tolist(), annotation.symbol)
        complexes = [wave for wave in waves if wave[0] == "N"]
        peaks = np.array([wave[2] for wave in complexes])
        for b, beat in enumerate(beats):
            nearest = int(np.abs(peaks - beat).argmin())
            if abs(peaks[nearest] - beat) > 0.12 * header.sampling_frequency:
                continue
            previous = peaks[nearest - 1] if nearest else -math.inf
            following = peaks[nearest + 1] if nearest + 1 < len(peaks) else math.inf
            leads[b, k, 2:4] = complexes[nearest][1], complexes[nearest][3]
            for symbol, place, first, last in (("p", 0, previous, peaks[nearest]), ("t", 4, peaks[nearest], following)):
                inside = [wave for wave in waves if wave[0] == symbol and first < wave[2] < last]
                if inside:
                    wave = inside[-1] if symbol == "p" else inside[0]
                    leads[b, k, place : place + 2] = wave[1], wave[3]
    leads = marks.CENTRE + (leads - beats[:, np.newaxis, np.newaxis]) * (marks.RATE / header.sampling_frequency)
    whole = np.full((len(beats), 6), np.nan)
    for b, j in np.ndindex(*whole.shape):
        known = np.sort(leads[b, np.isfinite(leads[b, :, j]), j])
        if len(known) >= _FEWEST[j]:
            whole[b, j] = known[1] if j % 2 == 0 else known[-2]
    return Example(_windows(prepared, used), whole, leads, prepared.on)


def _waves(samples: Sequence[int], symbols: Sequence[str]) -> list[tuple[str, float, int, float]]:
    """(symbol, onset, peak, offset) of each wave of one lead."""
    waves = []
    for k, symbol in enumerate(symbols):
        if symbol in "pNt":
            onset = samples[k - 1] if k and symbols[k - 1] == "(" else math.nan
            offset = samples[k + 1] if k + 1 < len(symbols) and symbols[k + 1] == ")" else math.nan
            waves.append((symbol, onset, samples[k], offset))
    return waves


# ---- simulator -------------------------------------------------------------------------------------------------------
def simulated_examples(n_records: int = _SIMULATED, seed: int = _SIMULATED_SEED) -> list[Example]:
    """Simulated recordings with what the simulator laid down; it knows no boundaries of single leads and no T onset."""
    examples = []
    for k in progress(range(1, n_records + 1), n_records, "Simulating"):
        simulated = simulate_recording(seed, k)
        p, prepared = simulated.parameters, prepare(simulated.signal, simulated.sampling_frequency)
        usual = [beat for beat in p.beats if beat.origin not in ("atrial", "ventricular")]
        if prepared is None or not usual:
            continue
        onsets = np.array([beat.time for beat in usual]) * RATE
        used, whole = [], []
        for b in np.flatnonzero(prepared.usable):
            after = prepared.beats[b] - onsets
            near = np.flatnonzero((after > -0.016 * RATE) & (after < 0.2 * RATE))
            if len(near):
                pr = usual[near[-1]].pr
                p_onset = math.nan if pr is None else -pr
                p_offset = p_onset + P_DURATION
                used.append(b)
                whole.append(np.array([p_onset, p_offset, 0, p.qrs, math.nan, p.qt]) - after[near[-1]] / RATE)
        if used:
            unknown = np.full((len(used), len(LEADS), 6), np.nan)
            positions = marks.CENTRE + np.array(whole) * marks.RATE
            examples.append(Example(_windows(prepared, np.array(used)), positions, unknown, prepared.on))
    return examples


def with_leads(simulated: Sequence[Example], real: Sequence[Example]) -> list[Example]:
    """Simulated examples with boundaries in each lead: half as far inside those of all leads as in real ones.

    Half, because the simulator's complexes begin and end where the first and last of all leads do, those of LUDB at the
    second earliest and latest.
    """
    distances = np.concatenate([example.leads - example.whole[:, np.newaxis] for example in real])
    known = np.isfinite(distances)
    inside = _INSIDE * np.where(known, distances, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return [replace(e, leads=np.where(e.on[:, np.newaxis], e.whole[:, np.newaxis] + inside, np.nan)) for e in simulated]


# ---- network ---------------------------------------------------------------------------------------------------------
class BoundaryNetwork(nn.Module):
    """What `boundary_network` computes, in PyTorch: (B, 2, 12, n) and leads on (B, 12) to (B, 6, n), (B, 6, 12, n)."""

    def __init__(self, n_lead: int = 16, n_whole: int = 24) -> None:
        super().__init__()

        def layers(n_in: int, n_out: int, taps: Sequence[int], dilations: Sequence[int]) -> nn.ModuleList:
            return nn.ModuleList(
                nn.Conv1d(n_in if k == 0 else n_out, n_out, size, padding=dilation * (size // 2), dilation=dilation)
                for k, (size, dilation) in enumerate(zip(taps, dilations, strict=True))
            )

        self.lead = layers(2, n_lead, (7, 5, 5, 5), marks.LEAD_DILATIONS)
        self.whole = layers(2 * n_lead, n_whole, (5, 5, 5, 5), marks.WHOLE_DILATIONS)
        self.whole_marks = nn.Conv1d(n_whole, 6, kernel_size=1)
        self.lead_hidden = nn.Conv1d(n_lead + n_whole, n_lead, kernel_size=1)
        self.lead_marks = nn.Conv1d(n_lead, 6, kernel_size=1)
        self.forget = nn.Dropout1d(0.1)

    def forward(self, x: torch.Tensor, on: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        batch, _, n_leads, n = x.shape
        of_lead = _through(self.lead, x.transpose(1, 2).reshape(batch * n_leads, 2, n))
        by_lead = of_lead.reshape(batch, n_leads, -1, n)
        weights = on[:, :, None, None].to(x.dtype)
        mean = (by_lead * weights).sum(dim=1) / weights.sum(dim=1)
        whole = _through(self.whole, self.forget(torch.cat([mean, (by_lead * weights).amax(dim=1)], dim=1)))
        hidden = self.lead_hidden(torch.cat([of_lead, whole.repeat_interleave(n_leads, dim=0)], dim=1))
        leads = self.lead_marks(torch.relu(hidden)).reshape(batch, n_leads, 6, n)
        return self.whole_marks(whole), leads.transpose(1, 2)


def _through(layers: nn.ModuleList, x: torch.Tensor) -> torch.Tensor:
    for k, layer in enumerate(layers):
        new = torch.relu(layer(x))
        x = new if k == 0 else x + new
    return x


def draw(example: Example, rng: Rng) -> tuple[Floats32, Bools, Floats, Floats]:
    """The median of some beats, changed in ways that move the boundaries as it says: input, leads on, marks."""
    n_beats = len(example.beats)
    some = rng.permutation(n_beats)[: n_beats if rng.random() < 0.4 else rng.integers(1, n_beats + 1)]
    beat = np.median(example.beats[some], axis=0)
    whole, leads = _median(example.whole[some]), _median(example.leads[some])

    # Another duration, another place.
    stretch, shift = math.exp(np.clip(rng.normal(0, 0.15), -0.4, 0.4)), rng.uniform(-8, 8)
    at = (np.arange(marks.N_SAMPLES) - marks.CENTRE - shift) / stretch + marks.CENTRE
    at = np.clip(at, 0, marks.N_SAMPLES - 1.01)
    before, share = at.astype(int), (at % 1).astype(np.float32)
    beat = beat[:, before] * (1 - share) + beat[:, before + 1] * share
    whole, leads = ((m - marks.CENTRE) * stretch + marks.CENTRE + shift for m in (whole, leads))

    # Other sizes, another heart: mixed leads have the boundaries of all of them, but no longer each its own.
    beat = beat * np.exp(rng.normal(0, 0.2, (12, 1)) + rng.normal(0, 0.3)) * (-1 if rng.random() < 0.15 else 1)
    if rng.random() < 0.4:
        beat = beat + rng.normal(0, 0.15, (12, 12)) @ beat
        leads = np.full_like(leads, np.nan)

    # Noise, and what is left of the baseline.
    beat = beat + rng.normal(0, 1, beat.shape) * rng.uniform(0, 0.008) * rng.random()
    beat = beat + rng.normal(0, 0.015, (12, 1)) + rng.normal(0, 0.03, (12, 1)) * np.linspace(-1, 1, marks.N_SAMPLES)
    on = example.on & (rng.random(12) > (0.3 if rng.random() < 0.25 else 0.0))
    on = on if on.any() else example.on
    beat = np.where(on[:, np.newaxis], beat, 0).astype(np.float32)
    return marks.network_input(beat).swapaxes(0, 1), on, whole, np.where(on[:, np.newaxis], leads, np.nan)


def _median(values: Floats) -> Floats:
    """Median of the known values over the first axis; NaN if there is none."""
    ordered = np.sort(values, axis=0)  # NaN last
    count = np.isfinite(values).sum(axis=0)
    middle = np.stack([np.maximum(count - 1, 0) // 2, np.minimum(count // 2, len(values) - 1)])
    return np.take_along_axis(ordered, middle, axis=0).mean(axis=0)


def _loss(logits: torch.Tensor, at: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with a bell around each known boundary; `at` (...), `logits` (..., n), `allowed` broadcasts."""
    bell = torch.exp(-0.5 * ((torch.arange(logits.shape[-1]) - at.nan_to_num(-99)[..., None]) / _TARGET) ** 2) * allowed
    size = bell.sum(dim=-1)
    known = size > 1
    logits = logits.masked_fill(~allowed, -30.0)
    losses = -(bell * torch.log_softmax(logits, dim=-1)).sum(dim=-1)[known] / size[known]
    return losses.mean() if known.any() else logits.sum() * 0


def fit_network(real: list[Example], simulated: list[Example], n_steps: int, seed: int) -> BoundaryNetwork:
    """Train a network; the same arguments give the same weights on the same machine."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = BoundaryNetwork()
    optimizer = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, n_steps, pct_start=0.1)
    allowed = torch.from_numpy(marks.allowed())
    for _ in progress(range(n_steps), n_steps, "Training", "step"):
        chosen = [real[rng.integers(len(real))] for _ in range(_FROM_LUDB)]
        chosen += [simulated[rng.integers(len(simulated))] for _ in range(_FROM_SIMULATOR)]
        drawn = zip(*(draw(example, rng) for example in chosen), strict=True)
        x, on, whole, leads = (torch.from_numpy(np.stack(part)) for part in drawn)
        of_whole, of_leads = network(x, on)
        loss = _loss(of_whole, whole, allowed) + 0.5 * _loss(of_leads, leads.transpose(1, 2), allowed[:, None])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return network.eval()


# ---- P waves ---------------------------------------------------------------------------------------------------------
def p_wave_evidence_of(data: Path) -> tuple[Floats, Bools]:
    """Evidence and whether there are P waves, of the sinus rhythms, fibrillation and flutter in `data` but fold 9."""
    kept = {record for record, (_, fold) in read_folds(data).items() if fold != 9}
    paths = [Path(path) for path in find_recordings(data) if Path(path).stem in kept]
    numbers, present = [], []
    for path in progress(paths, len(paths), "Measuring"):
        header, signal = read_recording(path)
        labels = set(header.labels)
        without, with_p = bool(labels & {_FIBRILLATION, _FLUTTER}), bool(labels & _SINUS)
        if without == with_p or _PACED in labels:
            continue
        of_recording = _evidence(signal, header.sampling_frequency)
        if of_recording is not None:
            numbers.append(of_recording)
            present.append(with_p)
    return np.array(numbers), np.array(present)


def _evidence(signal: Floats32, sampling_frequency: float) -> Floats | None:
    prepared = prepare(signal, sampling_frequency)
    if prepared is None:
        return None
    outlined = outline(prepared)
    return p_wave_evidence(prepared, outlined, periodic_waves_from(prepared, outlined))


def fit_p_waves(numbers: Floats, present: Bools) -> dict[str, Floats32]:
    """Train the network of `p_waves.probability`, both kinds of recordings with the same weight in all."""
    torch.manual_seed(0)
    mean, deviation = numbers.mean(axis=0), numbers.std(axis=0)
    x = torch.from_numpy((numbers - mean) / deviation).float()
    truth = torch.from_numpy(present).float()
    weights = torch.from_numpy(np.where(present, 0.5 / present.mean(), 0.5 / (1 - present.mean()))).float()
    network = nn.Sequential(nn.Linear(numbers.shape[1], _P_HIDDEN), nn.Tanh(), nn.Linear(_P_HIDDEN, 1))
    optimizer = torch.optim.LBFGS(
        network.parameters(), max_iter=_P_STEPS, history_size=20, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        each = nn.functional.binary_cross_entropy_with_logits(network(x)[:, 0], truth, reduction="none")
        size = torch.stack([(parameter**2).sum() for parameter in network.parameters()]).sum()
        value = (each * weights).mean() + _P_RIDGE * size
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    first, bias, second, last = (parameter.detach().double().numpy() for parameter in network.parameters())
    slopes = first / deviation
    fitted = (slopes, bias - slopes @ mean, second, last)
    names = ("p_waves.0.weight", "p_waves.0.bias", "p_waves.1.weight", "p_waves.1.bias")
    return {name: values.astype(np.float32) for name, values in zip(names, fitted, strict=True)}


# ---- command ---------------------------------------------------------------------------------------------------------
def fit_all(real: list[Example], simulated: list[Example], data: Path, n_steps: int = STEPS) -> dict[str, Floats32]:
    """Fit the network, then with it the P waves; from then on this process measures with both.

    `data`: Challenge recordings with folds.csv, for the P waves. `n_steps`: of training the network.
    """
    state = fit_network(real, with_leads(simulated, real), n_steps, seed=0).state_dict()
    network = {name: values.numpy() for name, values in state.items()}
    marks.use_parameters(network)
    numbers, present = p_wave_evidence_of(data)
    simulated_numbers = []
    for k in progress(range(1, _SIMULATED_RHYTHMS + 1), _SIMULATED_RHYTHMS, "Measuring"):
        drawn = simulate_recording(_RHYTHMS_SEED, k)
        of_recording = _evidence(drawn.signal, drawn.sampling_frequency)
        if of_recording is not None:
            simulated_numbers.append(of_recording)
            present = np.append(present, drawn.parameters.pr is not None)
    fitted = network | fit_p_waves(np.vstack([numbers, *simulated_numbers]), present)
    marks.use_parameters(fitted)
    return fitted


def fit_folder(ludb: Path, data: Path, steps: int) -> None:
    """Fit to the recordings of LUDB and of a folder with `folds.csv`, and write the package's parameters again."""
    torch.set_num_threads(1)  # more are not faster on so little, and differ in the last bit
    paths = sorted(map(Path, find_recordings(ludb)), key=lambda path: int(path.stem))
    real = [ludb_example(path) for path in progress(paths, len(paths), "Reading")]
    write_file(marks.FITTED, save(fit_all(real, simulated_examples(), data, steps)))
