"""Which build of the hot loop runs, on how many threads; safe for callers that run threads or fork themselves.

Small networks must not pay for threads, so the serial build runs them. Numba's workqueue layer aborts when two threads
enter parallel code at once, hence the lock; GNU OpenMP aborts a forked child that does, so a child gets the serial
build. Both builds come from one source with the same pieces: which one runs does not change the bits.
"""

import os
import threading

import numba

from bbbnp.architecture import LARGE
from bbbnp.kernels import hotloop

_state = {"lock": threading.Lock(), "forked": False}


def _after_fork():
    _state.update(lock=threading.Lock(), forked=True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def train(*arguments, threads=None):
    """`hotloop.train` by the build that suits the work.

    Parameters
    ----------
    *arguments
        Those of the hot loop.
    threads : int, optional
        Left out, Numba's number (NUMBA_NUM_THREADS) for large work and one for small.

    Returns
    -------
    What the hot loop returns.
    """
    plan, ws = arguments[8], arguments[10]
    if threads is None:
        threads = numba.get_num_threads() if ws.w.size * plan.batch_size >= LARGE else 1
    if threads == 1 or _state["forked"] or numba.config.DISABLE_JIT:
        return hotloop.train_serial(*arguments)
    with _state["lock"]:
        before = numba.get_num_threads()
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        try:
            return hotloop.train_parallel(*arguments)
        finally:
            numba.set_num_threads(before)
