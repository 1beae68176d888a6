"""Networks made ready for prediction on a CPU: the same function in half the time or less.

Batch norm is folded into the convolution before it, and channels stay side by side in memory, as oneDNN has them;
`nn.Conv1d` brings signals and results from one layout into the other at each convolution. Convolutions are done in
bfloat16 where the processor is fast at that, all else staying in float32; weights are still brought into their layout
on every call, which batches of windows make up for. Elsewhere they are done in float32 by fewer multiplications.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from ecg.examination.examine import Examination
from ecg.inference.predict import SOMEBODY, make_batch
from ecg.methods.base import Method
from ecg.networks.toom_cook import use_toom_cook
from ecg.runtime.device import is_right_in_bfloat16

_TOLERANCE = 1e-3  # of logits, beside their size: rounding is far below, a fold that is wrong far above


def make_fast(method: Method, networks: Sequence[nn.Module], dtype: torch.dtype) -> list[nn.Module]:
    """Copies of a method's networks that compute their convolutions faster.

    Whether `fold_batch_norms` keeps such a network's function is tried with the first one on a made-up recording: where
    a logit differs by more than 1e-3 of its size, the copies keep their batch norms.

    `networks`: of the same structure, on the CPU, in evaluation mode. Not changed. `dtype`: of the products: bfloat16
    where the processor has that, else float32. Input and output are float32.
    """
    copies = [fold_batch_norms(network) for network in networks]
    if copies and not _is_same(method, networks[0], copies[0]):
        copies = [_copy(network) for network in networks]
    if dtype == torch.float32:
        copies = [use_toom_cook(copied, fixed=True) for copied in copies]
    return [_with_channels_last(copied, dtype) for copied in copies]


def _is_same(method: Method, network: nn.Module, other: nn.Module) -> bool:
    noise = np.random.default_rng(0).normal(0, 0.3, size=(12, 1500)).astype(np.float32)  # 3 s
    made_up = Examination(replace(SOMEBODY, signal=noise), method.input)
    batch = make_batch([made_up.prepared], [made_up.features], torch.device("cpu"))
    with torch.inference_mode():
        expected, found = method.forward(network, batch), method.forward(other, batch)
    return torch.allclose(found, expected, rtol=_TOLERANCE, atol=_TOLERANCE)


def _with_channels_last(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Conv1d) and _has_zeros(child):
                own = dtype if is_right_in_bfloat16(child) else torch.float32
                setattr(module, name, ChannelsLastConv1d(child, own))
            elif isinstance(child, nn.MaxPool1d) and not child.return_indices:
                setattr(module, name, ChannelsLastMaxPool1d(child))
    return network


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """A copy in which each batch norm that is registered right after a convolution has become part of it."""
    folded = _copy(network)
    for module in list(folded.modules()):
        for (_, convolution), (next_name, norm) in pairwise(list(module.named_children())):
            if isinstance(convolution, nn.Conv1d) and isinstance(norm, nn.BatchNorm1d) and _fit(convolution, norm):
                assert norm.running_mean is not None
                assert norm.running_var is not None
                convolution.weight, convolution.bias = fuse_conv_bn_weights(
                    convolution.weight,
                    convolution.bias,
                    norm.running_mean,
                    norm.running_var,
                    norm.eps,
                    norm.weight,
                    norm.bias,
                )
                setattr(module, next_name, nn.Identity())
    return folded


def _copy(network: nn.Module) -> nn.Module:
    """A copy that has its own modules and shares the tensors, none of which is ever changed."""
    copied = copy.copy(network)
    copied._parameters, copied._buffers = network._parameters.copy(), network._buffers.copy()
    copied._modules = {name: child and _copy(child) for name, child in network._modules.items()}
    return copied


class ChannelsLastConv1d(nn.Module):
    """A 1-D convolution that leaves channels side by side in memory: (B, C, T) to (B, C', T'), float32.

    `convolution`: padded with a number of zeros. `dtype`: of the products.
    """

    def __init__(self, convolution: nn.Conv1d, dtype: torch.dtype) -> None:
        super().__init__()
        weight = _round(convolution.weight.detach().permute(2, 0, 1).contiguous(), dtype)
        self.weight = weight.permute(1, 2, 0).unsqueeze(2).contiguous(memory_format=torch.channels_last)
        # In float32: its rounding would shift all of a channel's outputs the same way.
        self.bias = None if convolution.bias is None else convolution.bias.detach().unsqueeze(1)
        self.stride, self.dilation = (1, convolution.stride[0]), (1, convolution.dilation[0])
        self.padding, self.groups = (0, int(convolution.padding[0])), convolution.groups

    def forward(self, x: Tensor) -> Tensor:
        flat = x.to(self.weight.dtype).unsqueeze(2)  # an image of one row: only those have a layout to choose
        result = functional.conv2d(flat, self.weight, None, self.stride, self.padding, self.dilation, self.groups)
        single = result.squeeze(2).float()
        # In place: new memory for large tensors takes longer than the sum.
        return single if self.bias is None else single.add_(self.bias)


class ChannelsLastMaxPool1d(nn.Module):
    """A 1-D maximum that leaves channels side by side in memory: (B, C, T) to (B, C, T')."""

    def __init__(self, pool: nn.MaxPool1d) -> None:
        super().__init__()
        size, stride, padding, dilation = pool.kernel_size, pool.stride, pool.padding, pool.dilation
        self.pool = nn.MaxPool2d(
            (1, _one(size)), (1, _one(stride)), (0, _one(padding)), (1, _one(dilation)), ceil_mode=pool.ceil_mode
        )

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.pool(x.unsqueeze(2)).squeeze(2)
        return pooled


def _one(size: int | tuple[int, ...]) -> int:
    return size if isinstance(size, int) else size[0]


def _round(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Kernels (size, C', C) in `dtype`, what is lost at one tap made up for at the next.

    Neighbouring samples are alike, so that errors of either sign cancel; rounded one by one, the weights would cost
    most of the accuracy that the products lose.
    """
    rounded, lost = torch.empty_like(weight, dtype=dtype), torch.zeros_like(weight[0])
    for tap, exact in enumerate(weight):
        wanted = exact + lost
        rounded[tap] = wanted
        lost = wanted - rounded[tap]
    return rounded


def _fit(convolution: nn.Conv1d, norm: nn.BatchNorm1d) -> bool:
    return norm.num_features == convolution.out_channels and norm.running_mean is not None


def _has_zeros(convolution: nn.Conv1d) -> bool:
    return convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str)
