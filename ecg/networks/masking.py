"""Where the items of a padded batch are, at every level of a network."""

import torch
from torch import Tensor


def position_mask(lengths: Tensor, n_samples: int) -> Tensor:
    """True at an item's own samples, before its padding on the right: (B,) int64 to (B, 1, n_samples) bool."""
    return (torch.arange(n_samples, device=lengths.device) < lengths[:, None]).unsqueeze(1)


def masks_at_levels(
    lengths: Tensor | None, n_samples: int, n_halvings: int, *, round_up: bool
) -> list[Tensor] | list[None]:
    """Where the items are after 0, 1, ... halvings.

    `lengths`, (n_items,), int64: samples of each item before its padding; None where padding counts as signal.
    `n_samples`: length of the batch. `round_up`: whether half of an odd length is rounded up (strided convolutions with
    padding) or down (pooling without). Returns ``n_halvings + 1`` masks, bool (n_items, 1, T / 2**i); None each where
    nothing is padded.
    """
    # An exported graph serves padded batches too: what the exporter's example is like must not decide.
    if lengths is None or not (torch.compiler.is_exporting() or bool((lengths != n_samples).any())):
        return [None] * (n_halvings + 1)
    masks = [position_mask(lengths, n_samples)]
    for _ in range(n_halvings):
        lengths, n_samples = (lengths + round_up) // 2, (n_samples + round_up) // 2
        masks.append(position_mask(lengths, n_samples))
    return masks


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """Zero where the mask is: (B, C, T) and (B, 1, T) to (B, C, T)."""
    return x if mask is None else x * mask.to(x.dtype)


def masked_mean(x: Tensor, mask: Tensor | None) -> Tensor:
    """Mean over an item's own positions of values that are zero elsewhere: (B, C, T) to (B, C)."""
    return x.mean(dim=2) if mask is None else x.sum(dim=2) / mask.sum(dim=2).to(x.dtype)
