"""What the processor and the C library need to be told before PyTorch trains well on a CPU."""

from __future__ import annotations

import ctypes
from pathlib import Path

import torch

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # M_… of malloc.h
_WITH_BF16 = {"avx512_bf16", "amx_bf16"}


def device() -> str:
    """CUDA where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def keep_memory() -> bool:
    """Ask glibc to keep freed memory; False where the C library is another.

    Feature maps of a training step are larger than any threshold that glibc serves from its heap, so each is mapped,
    faulted in page by page and unmapped again: 31 slices/s for 53 without it (128², one core, PyTorch 1.13).
    """
    try:
        option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(
        option(which, value) for which, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**26))
    )


def bf16_pays(device: str, told: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether training in bf16 is faster: on CUDA, and on processors with instructions for it.

    Elsewhere PyTorch falls back to loops: 72 slices/s in float32, 126 in bf16 with them; without, a tenth of float32.
    """
    if torch.device(device).type == "cuda":
        return True
    try:
        flags = next(line for line in told.read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        return False
    return bool(_WITH_BF16 & set(flags.split()))
