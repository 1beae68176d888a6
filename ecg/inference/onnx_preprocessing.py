"""Resampling and band pass as operators that every ONNX runtime has: convolutions with a stride, and long FIR filters.

The same functions of the signal as `ecg.signal`'s, which works on one recording of any kind in numpy and scipy.
"""

import numpy as np
import torch
from scipy.signal import sosfilt
from torch import Tensor, nn
from torch.nn import functional

from ecg.arrays import Signal
from ecg.methods.base import Method
from ecg.signal.filtering import band_filter, mirrored_samples
from ecg.signal.resampling import antialias_filter, resampling_ratio

_LEFT_OUT = 1e-7  # of the band pass's impulse response, summed over its tail
_TOLERANCE = 1e-3  # mV: rounding in float32 is a thousandth of it


class Resampler(nn.Module):
    """`ecg.signal.resampling.resample` in a graph: (B, n_leads, n) to (B, n_leads, ceil(n * fs_out / fs_in)), float32.

    The filter repeats itself every `up` outputs, which `down` inputs are the time of: one convolution with stride
    `down` and a channel for each of the `up` outputs computes it.

    `fs_in` and `fs_out`: Hz, not the same.
    """

    def __init__(self, fs_in: float, fs_out: float) -> None:
        super().__init__()
        self.up, self.down = resampling_ratio(fs_in, fs_out)
        taps = self.up * antialias_filter(self.up, self.down)
        half = len(taps) // 2
        outputs = np.arange(self.up)[:, np.newaxis]
        self.before = half // self.up
        inputs = np.arange(-self.before, ((self.up - 1) * self.down + half) // self.up + 1)
        at = outputs * self.down - inputs * self.up + half
        kernels = np.where((at >= 0) & (at < len(taps)), taps[np.clip(at, 0, len(taps) - 1)], 0)
        self.kernels: Tensor
        self.register_buffer("kernels", torch.from_numpy(kernels.astype(np.float32)).unsqueeze(1))  # (up, 1, inputs)

    def forward(self, signal: Tensor) -> Tensor:
        n_items, n_leads, n_samples = signal.shape
        n_outputs = (n_samples * self.up + self.down - 1) // self.down
        mirrored = _mirrored(signal, self.before, self.before + 1)
        enough = functional.pad(mirrored, (0, self.kernels.shape[2] + self.down))  # to complete the last period
        periods = functional.conv1d(enough.reshape(n_items * n_leads, 1, -1), self.kernels, stride=self.down)
        return periods.transpose(1, 2).reshape(n_items, n_leads, -1).narrow(2, 0, n_outputs)


class BandPass(nn.Module):
    """`ecg.signal.filtering.band_pass` in a graph: (B, n_leads, n) to the same shape, float32.

    Each pass is a convolution with the filter's impulse response, up to where no more than 1e-7 of it is left. That
    pass starts settled on the first sample, and as it has no gain at 0 Hz, this is the same as starting from nothing
    with the first sample taken away from all.

    `low`, `high`, `sampling_frequency`: Hz.
    """

    def __init__(self, low: float, high: float, sampling_frequency: float) -> None:
        super().__init__()
        sections, _ = band_filter(low, high, sampling_frequency)
        impulse = np.zeros(int(20 * sampling_frequency / low))
        impulse[0] = 1
        response = sosfilt(sections, impulse)
        tail = np.abs(response)[::-1].cumsum()[::-1]
        kernel = response[: np.count_nonzero(tail > _LEFT_OUT)]
        self.padding = mirrored_samples(sampling_frequency)
        self.kernel: Tensor
        self.register_buffer("kernel", torch.from_numpy(kernel[::-1].astype(np.float32)).reshape(1, 1, -1))

    def forward(self, signal: Tensor) -> Tensor:
        n_items, n_leads, n_samples = signal.shape
        filtered = _mirrored(signal, self.padding, self.padding).reshape(n_items * n_leads, 1, -1)
        for _ in range(2):  # forward, then backward
            started = functional.pad(filtered - filtered[:, :, :1], (self.kernel.shape[2] - 1, 0))
            filtered = functional.conv1d(started, self.kernel).flip(2)
        return filtered.narrow(2, self.padding, n_samples).reshape(n_items, n_leads, n_samples)


def _mirrored(signal: Tensor, before: int, after: int) -> Tensor:
    """The signal with its mirror image through either end point beside it."""
    held, reflected = (functional.pad(signal, (before, after), mode=mode) for mode in ("replicate", "reflect"))
    return 2 * held - reflected


def make_preprocessing(method: Method, sampling_frequency: float) -> nn.Module:
    """A method's preprocessing of recordings without missing samples as a module, (B, 12, n) to (B, 12, m), float32.

    `sampling_frequency`: of the recordings, Hz. Raises ValueError where the method does anything else than resampling
    and a band pass: both are tried on made-up signals.
    """
    steps: list[nn.Module] = []
    if resampling_ratio(sampling_frequency, method.input.sampling_frequency) != (1, 1):
        steps.append(Resampler(sampling_frequency, method.input.sampling_frequency))
    if method.input.band is not None:
        steps.append(BandPass(*method.input.band, method.input.sampling_frequency))
    module = nn.Sequential(*steps)
    signal = _made_up(sampling_frequency)
    with torch.inference_mode():
        found = module(torch.from_numpy(signal).unsqueeze(0))[0].numpy()
    expected = method.input.preprocess(signal, sampling_frequency)
    if found.shape != expected.shape or not np.abs(found - expected).max() <= _TOLERANCE:
        raise ValueError(
            f"method {method.name}: expected a preprocessing that is resampling and a band pass, found another; "
            "export without it and give the graph what the method's own preprocessing returns"
        )
    return module


def _made_up(sampling_frequency: float) -> Signal:
    """Noise on a drifting baseline, 3 s in mV."""
    n_samples = round(3 * sampling_frequency)
    noise = np.random.default_rng(0).normal(0, 0.3, size=(12, n_samples))
    drift = np.linspace(-1, 2, n_samples) + np.arange(12)[:, np.newaxis]
    return (noise + drift).astype(np.float32)
