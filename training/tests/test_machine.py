"""What is asked of the machine before training."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from neurotriage_training import machine

FAULTS = """
import resource, torch
from neurotriage_training import machine
if {keep}:
    assert machine.keep_memory()
for _ in range(20):
    torch.ones(16 * 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="not glibc: there is no mallopt to ask")
def test_kept_memory_is_not_faulted_in_again() -> None:
    """Twenty maps of 64 MB are 320,000 pages when each is mapped anew, 16,000 when the first is kept."""
    without, with_it = (
        int(subprocess.run([sys.executable, "-c", FAULTS.format(keep=keep)], check=True, capture_output=True).stdout)
        for keep in (False, True)
    )
    assert without - with_it > 200_000


@pytest.mark.parametrize(
    ("flags", "pays"),
    [
        ("fpu sse2 avx2 fma", False),
        ("fpu avx2 avx512f avx512bw", False),
        ("fpu avx512f avx512_bf16", True),
        ("fpu avx512f amx_bf16 amx_tile", True),
    ],
)
def test_bf16_pays_where_the_processor_has_it(flags: str, pays: bool, tmp_path: Path) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert machine.bf16_pays("cpu", told) is pays
    assert machine.bf16_pays("cuda", told)
    assert not machine.bf16_pays("cpu", tmp_path / "none")
