"""How many bits a number takes: half as many in files, and in training where that is faster."""

import contextlib
import os
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

# Instruction sets of oneDNN without bfloat16 products (its documentation, "CPU Dispatcher
# Control").
OLDER = (
    "SSE41",
    "AVX",
    "AVX2",
    "AVX2_VNNI",
    "AVX512_MIC",
    "AVX512_MIC_4OPS",
    "AVX512_CORE",
    "AVX512_CORE_VNNI",
)


def native_bfloat16(device: torch.device) -> bool:
    """Tell whether the device multiplies bfloat16 in hardware; elsewhere it is emulated and slower
    than float32.

    A processor that could, but whose oneDNN is held to an older instruction set by
    `ONEDNN_MAX_CPU_ISA`, does not.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type != "cpu" or os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in OLDER:
        return False
    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


@contextlib.contextmanager
def flushed_denormals() -> Iterator[None]:
    """Compute with numbers below 1e-38 taken as zero, and leave the process as it was.

    Weights that fade towards zero slow a processor down by an order of magnitude otherwise.
    """
    before = _flushes()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _flushes() -> bool:
    """Tell whether tiny numbers are taken as zero now; torch sets it and does not say it."""
    return bool((torch.full((1,), 1e-39) * 1).item() == 0)


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a network's state with float16 in place of all floating-point numbers."""
    return {key: one.half() if one.is_floating_point() else one for key, one in tensors.items()}


def in_full(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a network's state with float32 in place of all floating-point numbers."""
    return {key: one.float() if one.is_floating_point() else one for key, one in tensors.items()}
