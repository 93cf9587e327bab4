"""Lists of calls of kernels: the same numbers in any number of threads, also of a process that was forked."""

import os
import threading

import numpy as np
import pytest

from collocode import kernels
from collocode.kernels.calls import Calls

pytestmark = pytest.mark.skipif(kernels.library() is None, reason="no kernels are compiled")
LISTS, SIZE = 40, 30


def products():
    """Lists of two products with a dense symmetric matrix, the second with what the first one made; and their results."""
    rng = np.random.default_rng(0)
    rows, columns = np.tril_indices(SIZE, -1)
    order = np.lexsort((rows, columns))
    one = np.ones(len(rows), dtype=np.int32)
    where = columns[order].astype(np.int32), rows[order].astype(np.int32), one
    values, x = rng.standard_normal((LISTS, len(rows))), rng.standard_normal(SIZE)
    found = np.zeros((2, LISTS, SIZE))
    lists = [
        [
            ("symmetric_product", SIZE, len(rows), *where, values[k], "x", found[0, k]),
            ("symmetric_product", SIZE, len(rows), *where, values[k], found[0, k], found[1, k]),
        ]
        for k in range(LISTS)
    ]
    calls = Calls(kernels.library(), lists)
    calls.place("x", x)
    wanted = np.zeros_like(found)
    for k in range(LISTS):
        A = np.zeros((SIZE, SIZE))
        A[rows[order], columns[order]] = values[k]
        wanted[0, k] = (A + A.T) @ x
        wanted[1, k] = (A + A.T) @ wanted[0, k]
    return calls, found, wanted, (values, x)


def test_lists_are_run_once_each_and_in_order_in_any_number_of_threads():
    calls, found, wanted, _ = products()
    first = None
    for threads in (1, 2, 5, 100):
        for _ in range(20):
            found[:] = np.nan
            calls.run(threads)
            first = found.copy() if first is None else first
            assert np.array_equal(found, first)
    assert found == pytest.approx(wanted)


def test_other_threads_begin_while_this_one_does_something_else():
    calls, found, wanted, _ = products()
    for threads in (1, 2, 3):
        for _ in range(20):
            found[:] = np.nan
            with calls.meanwhile(threads):
                np.sort(np.arange(1000.0))
            assert found == pytest.approx(wanted)


def test_who_finds_the_threads_busy_does_it_alone():
    made = [products() for _ in range(3)]

    def work(calls, found):
        for _ in range(50):
            calls.run(2)

    threads = [threading.Thread(target=work, args=one[:2]) for one in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _, found, wanted, _ in made:
        assert found == pytest.approx(wanted)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning", "ignore:.*fork.*:RuntimeWarning")
def test_a_process_that_was_forked_has_threads_of_its_own():
    calls, found, wanted, _ = products()
    calls.run(2)
    child = os.fork()
    if child == 0:
        found[:] = np.nan
        calls.run(2)
        os._exit(not np.allclose(found, wanted))
    assert os.waitpid(child, 0)[1] == 0
    calls.run(2)
    assert found == pytest.approx(wanted)
