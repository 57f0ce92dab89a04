"""The one place for compile options.

Every kernel is compiled by :func:`kernel`. ``contract`` and ``nsz`` let LLVM fuse a multiply and an add and forget
the sign of zero; NaN and infinity stay honest, which the divergence guard of the hot loop needs, and sums keep their
order, so that results repeat. ``error_model="numpy"`` keeps division free of a Python exception branch, which
would stop vectorisation. Wide registers are taken where LLVM prefers narrower ones, and no wrapper is made for C.

Numba's disk cache watches only the file of the function it cached, so that an edit of ``vectormath.py`` would leave
a stale ``hotloop``. Here the cache lives in a folder named after a hash of all kernel sources: nobody runs old code.
"""

import contextlib
import hashlib
from pathlib import Path
import tempfile

import numba
from numba import config
from numba.core import lowering
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering

FASTMATH = {"contract", "nsz"}
OPTIONS = {"fastmath": FASTMATH, "error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True, "_nrt": True}


def _sources_hash(folder):
    """Hash of every kernel source in `folder`, names included."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _cache_folder(folder):
    """First writable place for compiled code of these very sources, or None where nothing is writable."""
    bases = [Path(config.CACHE_DIR)] if config.CACHE_DIR else []
    bases += [folder / "__pycache__", Path("~/.cache/bbbnp")]
    for base in bases:
        with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: who has no home
            path = base.expanduser() / f"compiled-{_sources_hash(folder)}"
            path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=path).close()
            return str(path)
    return None


CACHE_FOLDER = None if config.DISABLE_JIT else _cache_folder(Path(__file__).parent)


class _Lowering(lowering.Lower):
    # A function may use registers as wide as there are: for some processors LLVM prefers half of AVX-512.
    def pre_lower(self):  # pragma: no cover
        super().pre_lower()
        set.add(self.builder.function.attributes, '"prefer-vector-width"="512"')  # a set that refuses what it knows not


@register_pass(mutates_CFG=True, analysis_only=False)
class _WideLowering(NativeLowering):
    _name = "wide_lowering"
    lowering_class = _Lowering


class _Compiler(CompilerBase):
    # Numba's own, but for that.
    def define_pipelines(self):  # pragma: no cover
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.passes = [(_WideLowering if step is NativeLowering else step, text) for step, text in pipeline.passes]
        pipeline.finalize()
        return [pipeline]


def kernel(function=None, *, inline=False, reorder=False, parallel=False, borrows=False):
    """Compile a function with the options of the house.

    Parameters
    ----------
    function : callable
        Kernel: arrays and scalars in, arrays filled or scalars out.
    inline : bool
        Ask LLVM to always inline it: for scalar functions called in a loop that should become vectors, and small ones
        that are given many arrays, which costs a small network more than what they do.
    reorder : bool
        Let LLVM add in vector lanes: for a sum in a loop. It concerns the function's own additions only, not those of
        the functions it calls, whose rounding tricks must keep their order. It implies `inline`: compiled alone and
        again within its caller, such a function may add in two orders, and which of the two a process runs would
        depend on whether it compiled the code or loaded it.
    parallel : bool
        Build `numba.prange` for several threads. The build has a cache of its own, since Numba tells two builds of one
        function apart by nothing.
    borrows : bool
        Count no references to arrays, which takes an atomic instruction for every slice: for functions that slice in a
        loop, or pass all on to others. They must neither allocate nor call a function that returns an array.

    Returns
    -------
    callable
        The compiled function, or `function` itself under ``NUMBA_DISABLE_JIT=1``.
    """
    if function is None:
        return lambda f: kernel(f, inline=inline, reorder=reorder, parallel=parallel, borrows=borrows)
    options = {**OPTIONS, "forceinline": inline or reorder, "parallel": parallel, "_nrt": not borrows}
    if reorder:
        options["fastmath"] = FASTMATH | {"reassoc"}
    if not parallel:  # whose loops are functions of their own
        options["pipeline_class"] = _Compiler
    folder = CACHE_FOLDER and str(Path(CACHE_FOLDER) / "parallel") if parallel else CACHE_FOLDER
    saved, config.CACHE_DIR = config.CACHE_DIR, folder or config.CACHE_DIR
    try:
        return numba.njit(cache=folder is not None, **options)(function)
    finally:
        config.CACHE_DIR = saved
