"""Networks made ready for prediction on a CPU: the same function of the input in bfloat16, in half the time or less.

Batch norm is folded into the convolution before it, and a convolution becomes one matrix product. `nn.Conv1d` brings
its weights into the processor's layout on every call, which takes as long as the products themselves where the network
runs on one window; a matrix product takes them as they lie, and for any length of the window.
"""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ecg.method import Method
from ecg.prediction import make_batch
from helper_code import LEADS, Header

_TOLERANCE = 1e-3  # of logits, beside their size: rounding in float32 is far below, a fold that is wrong far above
_NOBODY = Header(recording_id="nobody", sampling_frequency=500.0, n_samples=5000, leads=LEADS, adc_gains=(1000.0,) * 12,
                 baselines=(0.0,) * 12, file_names=(), formats=(), age=60.0, sex="Female", labels=())


def make_fast(method: Method, network: nn.Module) -> nn.Module:
    """A copy of a network that computes faster in bfloat16.

    Whether `with_products` has kept the network's function is tried on a made-up recording: where the logits differ by
    more than 1e-3 of their size in float32, the network itself is returned.

    Parameters
    ----------
    method : Method
    network : nn.Module
        On the CPU, in evaluation mode. Not changed.

    Returns
    -------
    nn.Module
        For use under bfloat16 autocast.
    """
    fast = with_products(network)
    noise = np.random.default_rng(0).normal(0, 0.3, size=(12, 5000)).astype(np.float32)
    window = method.windows(method.preprocess(noise, 500.0))[0]
    batch = make_batch([window], [method.demographics(_NOBODY)], torch.device("cpu"))
    with torch.inference_mode():
        expected, found = method.forward(network, batch), method.forward(fast, batch)
    if not torch.allclose(found, expected, rtol=_TOLERANCE, atol=_TOLERANCE):
        return network
    for module in fast.modules():
        if isinstance(module, ConvolutionAsProduct):
            module.bfloat16()
    return fast


def with_products(network: nn.Module) -> nn.Module:
    """A copy with convolutions as matrix products and batch norms folded into them.

    A batch norm is taken to be of the convolution that is registered right before it in the same module. Convolutions
    with groups, dilation or other padding than zeros stay as they are.
    """
    copied = copy.deepcopy(network)
    for module in list(copied.modules()):
        children = list(module.named_children())
        for (name, convolution), (next_name, norm) in pairwise(children):
            if isinstance(convolution, nn.Conv1d) and isinstance(norm, nn.BatchNorm1d) and _fit(convolution, norm):
                setattr(module, name, fuse_conv_bn_eval(convolution, norm))
                setattr(module, next_name, nn.Identity())
        for name, child in module.named_children():
            if isinstance(child, nn.Conv1d) and _is_plain(child):
                setattr(module, name, ConvolutionAsProduct(child))
    return copied


class ConvolutionAsProduct(nn.Module):
    """A 1-D convolution, computed in the precision of its weights: (B, C, T) to (B, C', T').

    Sample by sample with the channels side by side, the inputs of one output are one run of numbers. Rows that
    overlap in memory make the matrix of all runs without a copy.
    """

    weight: Tensor  # (C', size * C)
    bias: Tensor | None

    def __init__(self, convolution: nn.Conv1d) -> None:
        super().__init__()
        self.size, self.stride = convolution.kernel_size[0], convolution.stride[0]
        self.padding = int(convolution.padding[0])
        self.register_buffer("weight", convolution.weight.detach().transpose(1, 2).flatten(1).contiguous())
        self.register_buffer("bias", None if convolution.bias is None else convolution.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        samples = functional.pad(x.transpose(1, 2).to(self.weight.dtype), (0, 0, self.padding, self.padding))
        samples = samples.contiguous()  # (B, T, C)
        n_items, n_samples, n_channels = samples.shape
        n_outputs = (n_samples - self.size) // self.stride + 1
        runs = samples.as_strided((n_items, n_outputs, self.size * n_channels),
                                  (n_samples * n_channels, self.stride * n_channels, 1))
        # Two dimensions: a product of three goes another, slower way.
        product = functional.linear(runs.reshape(n_items * n_outputs, -1), self.weight, self.bias)
        return product.view(n_items, n_outputs, -1).transpose(1, 2)


def _fit(convolution: nn.Conv1d, norm: nn.BatchNorm1d) -> bool:
    return norm.num_features == convolution.out_channels and norm.running_mean is not None


def _is_plain(convolution: nn.Conv1d) -> bool:
    return (convolution.groups == 1 and convolution.dilation == (1,) and convolution.padding_mode == "zeros"
            and not isinstance(convolution.padding, str))
