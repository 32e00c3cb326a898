"""Where bfloat16 is used: only where it is multiplied natively."""

import os
import subprocess
import sys

import pytest
import torch

from medpriv_lib.core.precision import OLDER, native_bfloat16

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["AVX2", "avx2", *OLDER])
def test_a_processor_held_to_older_instructions_has_none(monkeypatch, name):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", name)
    monkeypatch.setattr(
        torch.cpu,
        "get_capabilities",
        lambda: {"avx512_bf16": True, "amx_bf16": True},
        raising=False,
    )
    assert not native_bfloat16(CPU)


@pytest.mark.parametrize(
    ("able", "expected"),
    [
        ({}, False),
        ({"avx2": True}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
    ],
)
def test_the_processor_decides(monkeypatch, able, expected):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "DEFAULT")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert native_bfloat16(CPU) is expected


@pytest.mark.skipif(not native_bfloat16(CPU), reason="this processor has no bfloat16")
@pytest.mark.parametrize(("held", "native"), [("DEFAULT", True), ("AVX2", False)])
def test_onednn_obeys_the_same_variable(held, native):
    """Its own log says whether a bfloat16 kernel ran."""
    program = "import torch; a = torch.ones(64, 64, dtype=torch.bfloat16); torch.nn.functional.linear(a, a)"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": held, "ONEDNN_VERBOSE": "1"},
    )
    assert ("src:bf16" in ran.stdout) is native


def test_no_other_device_is_asked_for_it():
    assert not native_bfloat16(torch.device("meta"))
