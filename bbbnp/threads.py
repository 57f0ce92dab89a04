"""Which build of a long kernel runs, on how many threads; safe for callers that run threads or fork themselves.

Small networks must not pay for threads, so the serial build runs them. Numba's workqueue layer aborts when two threads
enter parallel code at once, hence the lock; GNU OpenMP aborts a forked child that does, so a child gets the serial
build. Both builds come from one source with the same pieces, and both have BLAS on one thread, since on several it adds
in another order: neither which one runs nor how many threads BLAS has changes the bits.
"""

import contextlib
import functools
import os
import threading

import numba
from threadpoolctl import ThreadpoolController

from bbbnp import _check
from bbbnp.architecture import LARGE
from bbbnp.kernels import hotloop, predictive

_state = {"lock": threading.Lock(), "forked": False, "blas": threading.Lock(), "limited": 0, "limits": None}


def _after_fork():
    # BLAS has all its threads again in a child, and those who limited it in other threads are not there
    _state.update(lock=threading.Lock(), forked=True, blas=threading.Lock(), limited=0, limits=None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@functools.cache
def _libraries():
    """The BLAS behind NumPy and behind products in kernels, which is loaded here, as late as it is needed: it takes
    longer than all the rest of `import bbbnp`. To look for them again at every call would cost milliseconds."""
    import scipy.linalg.cython_blas  # noqa: F401
    return ThreadpoolController()


@contextlib.contextmanager
def one_blas_thread():
    """BLAS on one thread, until the last of those who ask for it is done.

    The limit is the whole process's: of two fits in two threads, the first to end must not lift it for the other, whose
    products would then be added in another order, nor must the last restore a limit as if it had been the user's.
    """
    with _state["blas"]:
        if _state["limited"] == 0:
            _state["limits"] = _libraries().limit(limits=1, user_api="blas")
        _state["limited"] += 1
    try:
        yield
    finally:
        with _state["blas"]:
            _state["limited"] -= 1
            if _state["limited"] == 0:
                _state["limits"].restore_original_limits()


def _run(serial, parallel, arguments, large, threads):
    """Call the build that suits: `threads` if given, otherwise Numba's number for large work and one for small."""
    if threads is None:
        threads = numba.get_num_threads() if large else 1
    if _check.integer("threads", threads, least=1) == 1 or _state["forked"] or numba.config.DISABLE_JIT:
        with one_blas_thread():
            return serial(*arguments)
    with _state["lock"], one_blas_thread():
        before = numba.get_num_threads()
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        try:
            return parallel(*arguments)
        finally:
            numba.set_num_threads(before)


def train(*arguments, threads=None):
    """`hotloop._train` by the build that suits the work.

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
    large = ws.w.size * plan.batch_size >= LARGE
    return _run(hotloop.train_serial, hotloop.train_parallel, arguments, large, threads)


def predict_draws(samples, parameters, network, x, noisy, ws, *, threads=None):
    """`predictive._predict_draws` by the build that suits the work."""
    arguments = samples, parameters, network, x, noisy, ws
    _run(predictive.predict_draws_serial, predictive.predict_draws_parallel, arguments, ws.w.size * len(x) >= LARGE,
         threads)
