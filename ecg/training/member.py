"""One network trained through the stages of its method, resumable at every epoch."""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, update_bn

from ecg.arrays import Bools, Floats, Floats32, Ints
from ecg.decisions.thresholds import shared_threshold
from ecg.inference.predict import Item, make_batch, predict
from ecg.io.files import write_file
from ecg.methods.base import Batch, Loss, Method
from ecg.methods.reduced_leads import without_chest_leads
from ecg.model_folder.model import Member, State, as_stored
from ecg.networks.toom_cook import use_toom_cook
from ecg.runtime.device import fastest_dtype, training_autocast
from ecg.runtime.parallel import map_ahead
from ecg.runtime.progress import progress, say
from ecg.scoring.statistics import main_metric, metric_name
from ecg.training.dataset import Dataset
from ecg.training.distributed import DataParallel
from ecg.training.mixing import mixed
from ecg.training.options import MemberOptions

_SHARED_CANDIDATES = np.arange(1, 10) / 10
_BETWEEN_SAVES = 20.0  # s, of what is fitted before the first epoch


class TrainingError(ValueError):
    """Training can't go on; the message says why and what to do."""


def scaled_epochs(method: Method, epochs: int | None) -> list[int]:
    """Epochs of each stage when all of them together are to take `epochs` (at least one each)."""
    full = [stage.epochs for stage in method.training.stages]
    if epochs is None:
        return full
    ends = np.round(np.cumsum(full) * epochs / sum(full)).astype(int)
    return [int(max(count, 1)) for count in np.diff(ends, prepend=0)]


def train_member(
    method: Method, dataset: Dataset, training_rows: Ints, validation_rows: Ints, options: MemberOptions
) -> Member:
    """Train one network through all stages of the method and search its thresholds.

    `training_rows` and `validation_rows`: no stage sees a validation recording other than to score it. Raises
    TrainingError if there is nothing to train or validate on, the loss is no longer finite, or `resume` is refused.
    """
    if not len(training_rows) or not len(validation_rows):
        found = f"{len(training_rows)} and {len(validation_rows)}; more recordings are needed"
        raise TrainingError(f"{options.label}: expected recordings to train on and to validate on, found {found}")
    run = _MemberTraining(method, dataset, training_rows, validation_rows, options)
    run.restore()
    return run.finish()


class _MemberTraining:
    """The state of one member's training between epochs: everything that a checkpoint holds."""

    def __init__(
        self, method: Method, dataset: Dataset, training_rows: Ints, validation_rows: Ints, options: MemberOptions
    ) -> None:
        self.method, self.dataset, self.options = method, dataset, options
        self.training_rows, self.validation_rows = training_rows, validation_rows
        self.weights = method.diagnoses.weights
        self.epochs = scaled_epochs(method, options.epochs)
        self.history: list[dict[str, Any]] = []
        self.prepared = 0  # steps of `Training.prepare` that are done
        self.metric = metric_name(method.diagnoses)
        self.parallel = DataParallel(options.processes)
        with self._seeded(0, 0):
            self.network = self.parallel.prepare(method.build_network().to(options.device))
        if options.device.type == "cpu" and fastest_dtype(options.device) == torch.float32:
            use_toom_cook(self.network, fixed=False)
        if options.start is not None:
            number = options.number % len(options.start.networks)
            self.network.load_state_dict(options.start.networks[number].state_dict())
        self._start_stage(0)

    def finish(self) -> Member:
        is_anew = self.options.start is None and (self.stage, self.epoch) == (0, 0)
        if self.method.training.prepare is not None and is_anew:
            self._prepare()
        while self.stage < len(self.method.training.stages):
            while self.epoch < self.epochs[self.stage]:
                with self._seeded(self.stage + 1, self.epoch):
                    self._run_epoch()
                self._save_checkpoint()
            with self._seeded(self.stage + 1, self.epoch):
                self._end_stage()
        state = as_stored(self.network.state_dict())
        self.network.load_state_dict({key: value.to(self.options.device) for key, value in state.items()})
        probabilities = self._validate(autocast=False)
        labels = self.dataset.labels[self.validation_rows]
        thresholds = self.method.decision.search_thresholds(labels, probabilities, self.weights)
        return Member(state, thresholds, self.validation_rows, probabilities, self.history)

    def _prepare(self) -> None:
        assert self.method.training.prepare is not None
        sets, rows = 1 + len(self.method.training.masked_leads), self.training_rows
        features = np.concatenate([[self.dataset.features(row), *self.dataset.masked_features(row)] for row in rows])
        targets, seed = self.dataset.targets[rows].repeat(sets, axis=0), self.options.seed + self.options.number
        steps = self.method.training.prepare(self.network, features, targets, seed, self._signals)[self.prepared :]
        name, saved = f"{self.options.label}, fits to {len(rows)} recordings' measurements", time.monotonic()
        for fit in progress(steps, len(steps), name, "fit"):
            fit()
            self.prepared += 1
            if time.monotonic() - saved > _BETWEEN_SAVES or fit is steps[-1]:
                self._save_checkpoint()
                saved = time.monotonic()

    def _signals(self) -> Iterator[Floats32]:
        """What `Training.prepare` is given features of: each recording with all leads, then with those of each set."""
        for row in self.training_rows:
            signal = self.dataset.signal(row)
            yield signal
            yield from (without_chest_leads(signal, leads, 0) for leads in self.method.training.masked_leads)

    def _seeded(self, stage: int, epoch: int) -> AbstractContextManager[None]:
        words = [self.options.seed, self.options.number, stage, epoch]
        if stage and not self.options.processes.is_first:
            # Other units drop out for other items; first weights are the same.
            words.append(self.options.processes.rank)
        return _seeded(words, self.options.device)

    def _start_stage(self, number: int) -> None:
        self.stage, self.epoch = number, 0
        self.best_score, self.best = -np.inf, _copy(self.network.state_dict())
        self.average: AveragedModel | None = None
        if number < len(self.method.training.stages):
            stage = self.method.training.stages[number]
            self.optimizer = stage.make_optimizer(self.network.parameters())
            self.base_rates = [group["lr"] for group in self.optimizer.param_groups]
            self.loss: Loss = stage.make_loss(self.dataset.labels[self.training_rows], self.weights)

    def _run_epoch(self) -> None:
        stage, n_epochs = self.method.training.stages[self.stage], self.epochs[self.stage]
        name = f"{self.options.label}, {stage.name} epoch {self.epoch + 1}/{n_epochs}"
        start = time.monotonic()
        steps = len(self._parts())
        self.network.train()
        total = torch.zeros((), device=self.options.device)
        for step, (batch, targets) in enumerate(progress(self._batches(), steps, name, "step")):
            factor = stage.learning_rate((self.epoch + step / steps) / n_epochs)
            for group, rate in zip(self.optimizer.param_groups, self.base_rates, strict=True):
                group["lr"] = rate * factor
            with training_autocast(self.options.device, self.network):
                logits = self.method.forward(self.network, batch)
            loss = self.loss(self.parallel.all_logits(logits.float()), targets)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.parallel.add_gradients(self.network)
            self.optimizer.step()
            total += loss.detach()
        mean = float(total) / steps
        if not np.isfinite(mean):
            raise TrainingError(f"{name}: the loss is no longer finite; try another seed")

        def metric(labels: Bools, outputs: Bools) -> float:
            return main_metric(labels, outputs, self.method.diagnoses)

        found = self.dataset.labels[self.validation_rows], self._validate(autocast=True)
        threshold, score = shared_threshold(*found, metric, self.method.decision.decide, _SHARED_CANDIDATES)
        self.epoch += 1
        row = {"stage": stage.name, "epoch": self.epoch, "loss": round(mean, 6), self.metric: round(score, 6)}
        self.history.append({**row, "shared_threshold": threshold})
        if score > self.best_score:
            self.best_score, self.best = score, _copy(self.network.state_dict())
        averaged = max(round(stage.average_epochs * n_epochs / stage.epochs), 1)
        if stage.select == "average" and self.epoch > n_epochs - averaged:
            if self.average is None:
                self.average = AveragedModel(self.network)
            self.average.update_parameters(self.network)
        say(
            f"{name}: loss {mean:.4f}, validation {self.metric.replace('_', ' ')} {score:.3f} at the shared threshold "
            f"{threshold:.1f}, {time.monotonic() - start:.0f} s"
        )

    def _end_stage(self) -> None:
        stage = self.method.training.stages[self.stage]
        if stage.select == "best":
            self.network.load_state_dict(self.best)
        elif stage.select == "average" and self.average is not None:
            self.network.load_state_dict(self.average.module.state_dict())
            update_bn(([batch] for batch, _ in self._batches()), _OnBatches(self.method, self.network))
        self._start_stage(self.stage + 1)

    def _batches(self) -> Iterator[tuple[Batch, Tensor]]:
        """This process's parts of the batches of an epoch, each with the targets of the whole batch."""
        # One producer thread draws from the generator in order, so the draws don't depend on timing.
        rng = np.random.default_rng([self.options.seed, self.options.number, self.stage + 1, self.epoch])
        order = rng.permutation(self.training_rows)

        def make(rows: Ints) -> tuple[Batch, Tensor]:
            signals = [self.method.training.augment(self.dataset.signal(row), rng) for row in rows]
            items = signals, [self.dataset.features(row) for row in rows], self.dataset.targets[rows]
            if self.method.training.mixing:
                items = mixed(items, self.method.training.mixing, rng)
            part = self.parallel.part(make_batch(items[0], items[1], torch.device("cpu")))
            targets = torch.from_numpy(items[2]).to(self.options.device)
            return Batch(*(tensor.to(self.options.device) for tensor in part)), targets

        for batch, targets in map_ahead(make, (order[part] for part in self._parts()), workers=1, ahead=3):
            self.parallel.begin(len(targets))
            yield batch, targets

    def _parts(self) -> list[slice]:
        """The batches of an epoch. Batch norm has no use for a last batch of one: it joins the one before."""
        n_rows, size = len(self.training_rows), self.method.training.batch_size
        starts = list(range(0, n_rows, size))
        if n_rows % size == 1 and len(starts) > 1:
            starts.pop()
        return [slice(start, end) for start, end in zip(starts, [*starts[1:], n_rows], strict=True)]

    def _validate(self, *, autocast: bool) -> Floats:
        self.network.eval()
        device, processes, rows = self.options.device, self.options.processes, self.validation_rows
        own = range(processes.rank, len(rows), processes.count)
        items = (Item(k, self.dataset.signal(rows[k]), self.dataset.features(rows[k])) for k in own)
        probabilities = torch.zeros(len(rows), len(self.method.classes), dtype=torch.float64)
        for k, found in predict(self.method, [self.network], items, device, autocast=autocast):
            probabilities[k] = torch.from_numpy(found[0])
        processes.add(probabilities)
        return probabilities.numpy()

    @cached_property
    def _fingerprint(self) -> str:
        method = self.method
        parts: list[Any] = [method.name, dict(method.settings), method.diagnoses.as_json(), method.leads]
        parts += [method.training.masked_leads, self.epochs, self.options.seed, self.options.number]
        rows = np.concatenate([self.training_rows, self.validation_rows])
        parts += [len(self.training_rows), self.dataset.digest(rows)]
        parts += [] if self.options.start is None else self.options.start.checksums
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _save_checkpoint(self) -> None:
        if self.options.checkpoint is None or not self.options.processes.is_first:
            return
        held: dict[str, Any] = {name: getattr(self, name) for name in ("stage", "epoch", "prepared", "best", "history")}
        held |= {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        held["average"] = None if self.average is None else self.average.state_dict()
        held |= {"fingerprint": self._fingerprint, "best_score": float(self.best_score)}
        content = io.BytesIO()  # what torch raises when it writes a file itself does not say why
        torch.save(held, content)
        write_file(self.options.checkpoint, content.getbuffer())

    def restore(self) -> None:
        """Continue from the checkpoint of this training if there is one; replacing another's is refused with resume."""
        checkpoint = self.options.checkpoint
        if checkpoint is None:
            return
        content = self.options.processes.from_first(lambda: checkpoint.read_bytes() if checkpoint.exists() else None)
        if content is None:
            return
        found = "a damaged one"
        if _is_whole(content):
            held = torch.load(io.BytesIO(content), map_location=self.options.device, weights_only=True)
            found = "one" if held["fingerprint"] == self._fingerprint else "one with other data or arguments"
        if found != "one":
            if self.options.resume:
                found = f"found {found}; train anew without resume"
                raise TrainingError(f"{checkpoint}: expected a checkpoint of this training, {found}")
            say(f"{self.options.label}: restarting, the checkpoint found is {found}")
            return
        self.network.load_state_dict(held["network"])
        self._start_stage(held["stage"])
        self.optimizer.load_state_dict(held["optimizer"])
        self.epoch, self.history, self.prepared = held["epoch"], held["history"], held.get("prepared", 0)
        if held["average"] is not None:
            self.average = AveragedModel(self.network)
            self.average.load_state_dict(held["average"])
        self.best, self.best_score = held["best"], held["best_score"]
        name = self.method.training.stages[self.stage].name
        fitted = f" and {self.prepared} fits" if (self.stage, self.epoch) == (0, 0) else ""
        say(f"{self.options.label}: continuing after epoch {self.epoch} of stage {name}{fitted}")


def _is_whole(checkpoint: bytes) -> bool:
    """Whether all checksums in it are right; torch does not look at them."""
    try:
        with zipfile.ZipFile(io.BytesIO(checkpoint)) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError):
        return False


class _OnBatches(nn.Module):
    """A network that takes a whole batch as its one argument, as `update_bn` calls it."""

    def __init__(self, method: Method, network: nn.Module) -> None:
        super().__init__()
        self.method, self.network = method, network

    def forward(self, batch: Batch) -> Tensor:
        return self.method.forward(self.network, batch)


@contextmanager
def _seeded(words: list[int], device: torch.device) -> Iterator[None]:
    """Torch's generators seeded for a block and restored after it: dropout and weights depend on `words` alone."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):  # no other GPU is touched
        torch.manual_seed(int(np.random.SeedSequence(words).generate_state(1)[0]))
        yield


def _copy(state: State) -> State:
    return {key: value.detach().clone() for key, value in state.items()}
