"""How a model and its members are trained, beside the method and the data."""

from dataclasses import dataclass
from pathlib import Path

import torch

from ecg.io.label_tables import Labels
from ecg.methods.base import Method
from ecg.model_folder.model import Model
from ecg.runtime.processes import ALONE, Processes


@dataclass(frozen=True)
class TrainingOptions:
    """How a model is trained, beside the method and the data."""

    # Networks to train, each with another fold left out for validation; 1 to ``method.training.n_folds``, the method's
    # own number if not given.
    members: int | None = None
    epochs: int | None = None  # epochs over all stages together; the method's full schedule if not given
    # Of the folds, the first weights, the order of recordings and every random draw. On one machine's CPU, with one
    # number of threads, the same seed gives the same model.
    seed: int = 2020
    device: str = "auto"  # "auto", "cpu", "cuda" or "cuda:<number>"
    workers: int | None = None  # processes that read recordings
    limit: int | None = None  # train on this many recordings only, to try things out
    # The codes of statements of devices, for recordings in clinical formats, which have no codes themselves; or those
    # of records, which take the place of the codes in headers.
    labels: Labels | None = None
    # Fail instead of restarting if data or options changed. A stopped training is continued in any case.
    resume: bool = False
    # Under `torchrun` each process trains other members, rather than all of them one member after another.
    spread_members: bool = False
    # A trained model of the same method and settings, from whose weights the training starts: member k from network k
    # modulo their number. What `Training.prepare` has fitted stays as it is.
    start: Model | None = None
    shape_only: tuple[str, ...] = ()  # databases in which the size of recordings is invented
    # A folder in which the preprocessed recordings stay for the next training on the same data.
    cache: Path | None = None

    def n_members(self, method: Method) -> int:
        """The number of members of this method; ValueError where an option is out of range."""
        n_folds = method.training.n_folds
        members = method.training.n_members if self.members is None else self.members
        if not 1 <= members <= n_folds:
            raise ValueError(f"members {members}: expected 1 to {n_folds} for the method {method.name}")
        for name in ("epochs", "limit", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} {value}: expected a whole number from 1 up")
        if self.shape_only and method.training.without_size is None:
            raise ValueError(f"shape only: expected a method that can do without the size, found {method.name}")
        if self.seed < 0:
            raise ValueError(f"seed {self.seed}: expected a whole number from 0 up")
        if self.start is not None:
            self.start.require(method.diagnoses)
            wanted, found = (f"{each.name} with settings {dict(each.settings)}" for each in (self.start.method, method))
            if wanted != found:
                raise ValueError(f"method: expected that of the model to start from, {wanted}, found {found}")
        return members


@dataclass(frozen=True)
class MemberOptions:
    """How one member is trained."""

    epochs: int | None  # as in `TrainingOptions`
    seed: int  # `seed`, `number`: with the seed the member's number determines every random draw
    number: int
    device: torch.device
    # Written after every epoch; training continues from it if it belongs to the same training.
    checkpoint: Path | None = None
    label: str = "Training"  # what the progress lines call the member
    resume: bool = False  # refuse to replace a checkpoint of another training
    processes: Processes = ALONE  # those that train it together, each with a part of every batch
    start: Model | None = None  # as in `TrainingOptions`
