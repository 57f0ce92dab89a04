"""Long work in several processes, that Ctrl-C ends without beginning what was still to come."""

from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
import multiprocessing

from tqdm import tqdm


def each(function, tasks, *, jobs, progress=None, desc=None):
    """Yield (number of the task, result) as tasks end; no more are handed out than run at once.

    Parameters
    ----------
    function : callable
        Of one task; None as its result says that Ctrl-C stopped it. With several jobs, of a module's top level.
    tasks : sequence
    jobs : int
        Processes at a time; with 1, all is done in this one.
    progress : bool, optional
        Show a bar; left out, on a terminal only.
    desc : str, optional
        What stands before the bar.

    Raises
    ------
    KeyboardInterrupt
        When a task was stopped: none is begun after it.
    """
    with tqdm(desc=desc, total=len(tasks), disable=None if progress is None else not progress) as bar:
        for number, result in _one_by_one(function, tasks) if jobs == 1 else _at_once(function, tasks, jobs):
            if result is None:
                raise KeyboardInterrupt
            bar.update()
            yield number, result


def _one_by_one(function, tasks):
    return ((number, function(task)) for number, task in enumerate(tasks))


def _at_once(function, tasks, jobs):
    running, waiting = {}, list(enumerate(tasks))[::-1]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        while waiting or running:
            while waiting and len(running) < jobs:
                number, task = waiting.pop()
                running[pool.submit(function, task)] = number
            for ended in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(ended), ended.result()
