"""Where the network runs, and in which precision."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from ecg.runtime.processes import launched


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" is the GPU where there is a usable one. ValueError where this machine has none.

    Under `torchrun` "auto" and "cuda" are another GPU for each process of a machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and launched().count > 1:
        name = f"cuda:{launched().local_rank}"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device {name}: expected auto, cpu, cuda or cuda:<number>") from error
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device {name}: expected auto, cpu, cuda or cuda:<number>")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {name}: found {torch.cuda.device_count()} usable GPUs")
    return device


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 products are done in hardware, so that autocast saves time rather than costs it."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def fastest_dtype(device: torch.device) -> torch.dtype:
    """Of the products in networks: bfloat16 where the hardware has it, else float32."""
    return torch.bfloat16 if has_fast_bfloat16(device) else torch.float32


def is_right_in_bfloat16(convolution: nn.Conv1d) -> bool:
    """Whether a CPU computes this convolution correctly in bfloat16.

    With Intel AMX, oneDNN 3.12 (in torch 2.13) returns wrong sums for some kernel sizes that are multiples of 4; which
    ones depends on channels, stride, padding and length. No other size was wrong in a search over sizes 1 to 49.
    """
    return convolution.kernel_size[0] % 4 != 0


def training_autocast(device: torch.device, *networks: nn.Module) -> AbstractContextManager[object]:
    """bfloat16 autocast where the hardware has it and computes these networks correctly, else nothing."""
    modules = (module for network in networks for module in network.modules() if isinstance(module, nn.Conv1d))
    if has_fast_bfloat16(device) and (device.type != "cpu" or all(map(is_right_in_bfloat16, modules))):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def repeatable_kernels(device: torch.device) -> AbstractContextManager[object]:
    """On a GPU only kernels that give the same bytes every time, in float32 all through; a CPU has no others."""
    if device.type == "cuda":
        return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    return nullcontext()
