"""Convolutions in float32 with a third of the multiplications: Toom-Cook (also called Winograd) minimal filtering.

m outputs of a filter of r taps take m + r - 1 multiplications, not m * r (Winograd 1980; Lavin and Gray 2016,
doi:10.1109/CVPR.2016.435). With many channels nearly all of the work is in these, which are products of matrices here;
the transforms before and after them are small. Worth it where a processor has no products faster than float32.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

# Points that polynomials are multiplied at. More would save little, and lose a digit each few: with 15 the results are
# within 3e-5 of their size.
N_POINTS = 15
# From this ratio of multiplications on, Toom-Cook is clearly faster. Multiplications of the transforms count twice:
# they are products of small matrices. Measured with 16 to 512 channels.
LEAST_SAVING = 1.6


def is_worth_it(convolution: nn.Conv1d) -> bool:
    """Whether a convolution can be computed by `ToomCookConv1d`, and in less time."""
    plain = convolution.groups == 1 and convolution.dilation == (1,) and convolution.padding_mode == "zeros"
    if not plain or isinstance(convolution.padding, str):
        return False
    [size], [stride] = convolution.kernel_size, convolution.stride
    n_taps = -(-size // stride)
    if not 2 <= n_taps <= N_POINTS // 2 + 1:
        return False
    n_in, n_out, n_made = stride * convolution.in_channels, convolution.out_channels, N_POINTS + 1 - n_taps
    products = N_POINTS * n_in * n_out / n_made  # for each result, as all that follows
    transformed = N_POINTS * (N_POINTS * n_in / n_made + n_out)
    return size * convolution.in_channels * n_out >= LEAST_SAVING * (products + 2 * transformed)


def use_toom_cook(network: nn.Module, *, fixed: bool) -> nn.Module:
    """The network itself, its convolutions replaced where that `is_worth_it`; for `fixed` see `ToomCookConv1d`."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Conv1d) and is_worth_it(child):
                setattr(module, name, ToomCookConv1d(child, fixed=fixed))
    return network


def transforms(n_made: int, n_taps: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Matrices P, Q, R such that the outputs of a filter f on signal d are P.T @ ((Q @ f) * (R @ d)).

    Those of Toom-Cook multiplication, transposed. The points are equal angles on the projective line, rather than the
    usual 0, 1, -1, 2, -2, 1/2 ... and infinity: the rounding errors are no larger than with the best of such choices.

    `n_made` and `n_taps`: outputs m, and taps r of the filter. Returns `P`: (m + r - 1, m), float64; `Q`: (m + r - 1,
    r), float64; `R`: (m + r - 1, m + r - 1), float64.
    """
    angles = np.pi * np.arange(n_made + n_taps - 1) / (n_made + n_taps - 1)

    def values(n_coefficients: int) -> NDArray[np.float64]:
        """What makes a polynomial's values at the points from its coefficients."""
        powers = np.arange(n_coefficients)
        evaluated: NDArray[np.float64] = np.cos(angles)[:, None] ** powers[::-1] * np.sin(angles)[:, None] ** powers
        return evaluated

    from_signal = np.asarray(np.linalg.inv(values(len(angles))).T, dtype=np.float64)
    return values(n_made), values(n_taps), from_signal


class ToomCookConv1d(nn.Module):
    """A convolution computed by minimal filtering, (B, C, T) to (B, C', T'), equal up to rounding, float32.

    A stride s is taken away by taking s samples for one with s times the channels. Weight and bias keep their names.

    `convolution`: one that `is_worth_it`, but for the time it takes. `fixed`: whether the weights are not going to
    change: then they are transformed here rather than at every call, and results have channels side by side in memory.
    """

    from_signal: Tensor
    from_kernel: Tensor
    to_results: Tensor

    def __init__(self, convolution: nn.Conv1d, *, fixed: bool) -> None:
        super().__init__()
        [self.size], [self.stride] = convolution.kernel_size, convolution.stride
        self.padding = int(convolution.padding[0])
        self.n_taps = -(-self.size // self.stride)
        self.n_made = N_POINTS + 1 - self.n_taps
        names = ("to_results", "from_kernel", "from_signal")
        for name, matrix in zip(names, transforms(self.n_made, self.n_taps), strict=True):
            self.register_buffer(name, torch.from_numpy(matrix.astype(np.float32)), persistent=False)
        self.weight = None if fixed else convolution.weight
        self.bias = convolution.bias
        if fixed:
            self.kernels = self._transformed(convolution.weight.detach())

    def _transformed(self, weight: Tensor) -> Tensor:
        """Kernels, (C', C, size), at the points: (n_points, stride * C, C')."""
        n_out, n_in, _ = weight.shape
        taps = functional.pad(weight, (0, self.n_taps * self.stride - self.size))
        taps = taps.view(n_out, n_in, self.n_taps, self.stride).permute(2, 3, 1, 0)  # channels of a sample together
        return (self.from_kernel @ taps.reshape(self.n_taps, -1)).view(N_POINTS, self.stride * n_in, n_out)

    def _at_points(self, padded: Tensor) -> Tensor:
        """Transformed pieces of a signal, (B, T, C) to (n_pieces, n_points, C), no piece being copied before."""
        pieces = padded.unfold(1, N_POINTS, self.n_made).transpose(2, 3)  # (B, n_pieces / B, n_points, C)
        transformed = torch.empty(pieces.shape)
        for item, out in zip(pieces, transformed, strict=True):
            torch.bmm(self.from_signal.expand(len(item), -1, -1), item, out=out)
        return transformed.flatten(0, 1)

    def _at_points_with_gradients(self, padded: Tensor) -> Tensor:
        """The same, of pieces put together so that gradients find their way back fast."""
        parts = padded.view(len(padded), -1, self.n_made, padded.shape[2])
        pieces = torch.cat([parts[:, :-1], parts[:, 1:, : self.n_taps - 1]], dim=2).flatten(0, 1)
        return torch.bmm(self.from_signal.expand(len(pieces), -1, -1), pieces)

    def forward(self, x: Tensor) -> Tensor:
        n_items, n_in, n_samples = x.shape
        kernels = self.kernels if self.weight is None else self._transformed(self.weight)
        n_results = (n_samples + 2 * self.padding - self.size) // self.stride + 1
        n_pieces = -(-n_results // self.n_made)
        n_padded = (n_pieces + 1) * self.n_made * self.stride
        padded = functional.pad(x.transpose(1, 2), (0, 0, self.padding, n_padded - n_samples - self.padding))
        padded = padded.view(n_items, -1, self.stride * n_in)
        # Pieces overlap by the filter's length less one. Channels stay last: points come first only as strides.
        at_points = self._at_points(padded) if self.weight is None else self._at_points_with_gradients(padded)
        products = torch.bmm(at_points.transpose(0, 1), kernels).transpose(0, 1)
        results = torch.bmm(self.to_results.T.expand(n_items * n_pieces, -1, -1), products)
        results = results.view(n_items, n_pieces * self.n_made, -1)
        if self.bias is not None:
            results += self.bias
        results = results[:, :n_results].transpose(1, 2)
        # In training, the steps that follow, above all gradients, are slow in another layout.
        return results if self.weight is None else results.contiguous()
