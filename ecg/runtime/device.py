"""Where the network runs, and in which precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from ecg.runtime.processes import launched


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" is the GPU where there is a usable one.

    Under `torchrun` "auto" and "cuda" are another GPU for each process of a machine.

    Raises
    ------
    ValueError
        If the name is no device of this machine.
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


def training_autocast(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 autocast where the hardware has it, else nothing."""
    if has_fast_bfloat16(device):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def repeatable_kernels(device: torch.device) -> AbstractContextManager[object]:
    """On a GPU only kernels that give the same bytes every time, in float32 all through; a CPU has no others."""
    if device.type == "cuda":
        return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    return nullcontext()
