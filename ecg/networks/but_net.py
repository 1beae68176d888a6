"""The network of Vicar et al., BUTTeam (Computing in Cardiology 2020, paper 189)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ecg.networks.masking import masked, masks_at_levels


class Unit(nn.Module):
    """7-tap convolution, batch norm, ReLU: (B, n_in, T) -> (B, n_out, T), zero where the mask is."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_in, n_out, kernel_size=7, padding=3)
        self.bn = nn.BatchNorm1d(n_out)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return functional.relu(masked(self.bn(self.conv(x)), mask), inplace=True)


class Level(nn.Module):
    """Three units, then a max-pool by 2 over the global skip, the last unit's output and the first's (local skip)."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.units = nn.ModuleList([Unit(n_in, n_out), Unit(n_out, n_out), Unit(n_out, n_out)])

    def forward(self, x: Tensor, gate: Tensor | None, mask: Tensor | None) -> Tensor:
        first = x = self.units[0](x, mask)
        for unit in self.units[1:]:
            x = unit(x, mask)
        joined = [x, first] if gate is None else [gate, x, first]
        return torch.cat([functional.max_pool1d(part, 2) for part in joined], dim=1)


class BUTNet(nn.Module):
    """The network of Vicar et al. (paper, figure 1): six levels with concatenated skips, a masked global maximum.

    Level i of 1 to 6 has i times `width` channels and works at a 2**(i-1)-th of the input's rate. 6,810,936 parameters
    at width 48 (the paper's best), 2,665,464 at 30 (the published configuration), 429,648 at 12.

    What lies beyond an item's length is kept at zero after every step, as if the item ended there: in evaluation mode
    the logits don't depend on what it shares a batch with. Not in the paper: there the global maximum alone is masked.
    In training the batch-norm statistics are taken over all positions, padding included, as published.

    `global_skips`: whether every level gets the input gate's output, average-pooled to its rate.
    """

    def __init__(self, n_leads: int = 12, n_classes: int = 24, width: int = 48, global_skips: bool = True) -> None:
        super().__init__()
        self.global_skips = global_skips
        self.gate = Unit(n_leads, width)
        self.levels = nn.ModuleList()
        n_in = width
        for number in range(1, 7):
            self.levels.append(Level(n_in, number * width))
            n_in = (2 * number + global_skips) * width
        self.final = Unit(n_in, 6 * width)
        self.fc = nn.Linear(6 * width, n_classes)
        # Corrected: the paper says Xavier, the published code looks for Conv2d among Conv1d and leaves PyTorch's own.
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, signal: Tensor, lengths: Tensor) -> Tensor:
        """Logits of the classes.

        `signal`, (n_items, n_leads, n_samples), float32, 0.2 mV at 125 Hz: zero-padded on the right. `lengths`,
        (n_items,), int64: samples before the padding; at least 64. Returns (n_items, n_classes).
        """
        masks = masks_at_levels(lengths, signal.shape[2], 6, round_up=False)
        x = self.gate(signal, masks[0])  # (B, width, T)
        gate = x if self.global_skips else None
        for level, mask, next_mask in zip(self.levels, masks[:-1], masks[1:], strict=True):
            # The mask again: a last odd sample does not make a pooled one, as if the item ended there.
            x = masked(level(x, gate, mask), next_mask)  # (B, (2i + 1) * width, T / 2**i)
            gate = functional.avg_pool1d(gate, 2) if gate is not None else None
        # Corrected: the published code takes the maximum over length / 32, the map has length / 64.
        x = self.final(x, masks[-1]).amax(dim=2)  # the masked zeros don't matter: nothing is below zero after the ReLU
        logits: Tensor = self.fc(x)
        return logits
