"""A training by several processes: the data read once, a part of every batch for each, the sum as if one had it all."""

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ecg.methods.base import Batch
from ecg.runtime.processes import Processes
from ecg.training.dataset import Dataset


def read_once(processes: Processes, read: Callable[[], tuple[Dataset, list[str]]]) -> tuple[Dataset, list[str]]:
    """The data as the first process of each machine reads it; the others take it from the copy of that."""
    result = None
    for turn in ("first", "first of its machine", "other"):
        kind = "first" if processes.is_first else "first of its machine" if processes.local_rank == 0 else "other"
        if kind == turn:
            result = read()
        processes.wait()
    assert result is not None
    held = hashlib.sha256("".join(entry.digest for entry in result[0].entries).encode()).digest()
    if len(set(processes.gather(held))) > 1:
        raise ValueError("expected the same recordings on every machine, found others; give all of them one folder")
    return result


class DataParallel:
    """This process's part in the training of one network; with one process all of it.

    The loss is worked out from the logits of the whole batch, by everyone, and its gradients go back through the own
    part of them: so the sum of all processes' gradients is that of one process, whatever the loss is.
    """

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self.rows = slice(0, 0)
        self.n_items = 0

    def prepare(self, network: nn.Module) -> nn.Module:
        """The network with batch norms that take their statistics from the whole batch."""
        if self.processes.count > 1:
            for module in list(network.modules()):
                for name, child in module.named_children():
                    if isinstance(child, nn.BatchNorm1d):
                        setattr(module, name, CommonBatchNorm1d(child, self))
        return network

    def part(self, batch: Batch) -> Batch:
        """The own part of a batch; where there are fewer items than processes its first item may stand in for none."""
        rows = self._rows(len(batch.signal))
        return Batch(*(tensor[rows if rows.start < rows.stop else slice(1)] for tensor in batch))

    def begin(self, n_items: int) -> None:
        """What follows is about a batch of so many items, of all processes."""
        self.n_items, self.rows = n_items, self._rows(n_items)

    @property
    def has_items(self) -> bool:
        return self.rows.start < self.rows.stop

    def all_logits(self, own: Tensor) -> Tensor:
        """Logits of the whole batch, (n_items, n_classes), of which only the own ones have gradients."""
        if self.processes.count == 1:
            return own
        everyone = own.new_zeros(self.n_items, own.shape[1])
        if self.has_items:
            everyone[self.rows] = own.detach()
        self.processes.add(everyone)
        if not self.has_items:
            return everyone + 0 * own.sum()  # it takes part in the batch norms' sums on the way back
        return torch.cat([everyone[: self.rows.start], own, everyone[self.rows.stop :]])

    def add_gradients(self, network: nn.Module) -> None:
        if self.processes.count == 1:
            return
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        self.processes.add(flat)
        totals = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, total in zip(gradients, totals, strict=True):
            gradient.copy_(total.view_as(gradient))

    def _rows(self, n_items: int) -> slice:
        rank, count = self.processes.rank, self.processes.count
        return slice(n_items * rank // count, n_items * (rank + 1) // count)


class CommonBatchNorm1d(nn.BatchNorm1d):
    """Batch norm with the mean and variance of all processes' items, on any device (`nn.SyncBatchNorm` is for GPUs).

    `norm`: its parameters and statistics are taken over.
    """

    def __init__(self, norm: nn.BatchNorm1d, parallel: DataParallel) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self.weight, self.bias = norm.weight, norm.bias
        for name, buffer in norm.named_buffers():
            setattr(self, name, buffer)
        self.parallel = parallel

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        axes = (0, 2) if x.ndim == 3 else (0,)
        values, counted = x.float(), float(self.parallel.has_items)
        n_values = torch.full((1,), counted * values.numel() / self.num_features, device=x.device)
        sums = self._sum(torch.cat([counted * values.sum(axes), n_values]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = values - self._along(mean, x)
        variance = self._sum(counted * centred.square().sum(axes)) / count
        self._follow(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
        normed = centred * self._along((variance + self.eps).rsqrt(), x)
        if self.affine:
            normed = normed * self._along(self.weight, x) + self._along(self.bias, x)
        return normed.to(x.dtype)

    def _sum(self, values: Tensor) -> Tensor:
        total: Tensor = _Sum.apply(values, self.parallel.processes)  # type: ignore[no-untyped-call]
        return total

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)

    @staticmethod
    def _along(channels: Tensor, x: Tensor) -> Tensor:
        return channels.view(1, -1, *[1] * (x.ndim - 2))


class _Sum(torch.autograd.Function):
    """A sum over the processes; each one's gradient is the sum of everyone's."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, values: Tensor, processes: Processes) -> Tensor:
        ctx.processes = processes  # type: ignore[attr-defined]
        total = values.clone()
        processes.add(total)
        return total

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.clone()
        ctx.processes.add(total)  # type: ignore[attr-defined]
        return total, None
