"""Parcels: what another process can open, wherever the code was written."""

import subprocess
import sys
import threading
import types

import pytest

import collocode as cc
from collocode.coordination.parcel import packed, unpacked


def test_a_function_of_a_file_that_nobody_else_has_brings_its_code():
    module = types.ModuleType("seen_by_nobody")
    module.__file__ = "/somewhere/else/seen_by_nobody.py"
    sys.modules[module.__name__] = module
    exec("FACTOR = 3\ndef times(x):\n    return FACTOR * x", module.__dict__)
    try:
        parcel = packed(module.times, "the function")
    finally:
        del sys.modules[module.__name__]
    script = "import sys, cloudpickle; print(cloudpickle.loads(sys.stdin.buffer.read())(14))"
    run = subprocess.run([sys.executable, "-c", script], input=parcel, capture_output=True)
    assert run.stdout.split() == [b"42"], run.stderr


def test_our_own_classes_travel_by_name():
    assert type(unpacked(packed(cc.L2(0.5), "it"))) is cc.L2


def test_what_cannot_travel_is_refused():
    lock = threading.Lock()
    with pytest.raises(cc.InputError, match=r"batch 'a' cannot be sent .*lock.* in this process\."):
        packed(lambda: lock, "batch 'a'")
