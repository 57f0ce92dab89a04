"""Work in processes: every result with its task, and nothing begun after Ctrl-C."""

from functools import partial
import time

import pytest

from bbbnp.experiments import pool


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_task_gives_its_result(jobs):
    assert dict(pool.each(abs, [-3, 2, -1], jobs=jobs, progress=False)) == {0: 3, 1: 2, 2: 1}


def stopped_at_one(folder, task):
    """The task, but None of task 1; those after it wait for it, and then long enough for that to be heard of."""
    (folder / f"begun {task}").touch()
    while task > 1 and not (folder / "begun 1").exists():
        time.sleep(0.01)
    time.sleep(task > 1)
    return None if task == 1 else task


@pytest.mark.parametrize("jobs", [1, 2])
def test_after_a_task_that_was_stopped_there_are_no_more(jobs, tmp_path):
    found = []
    with pytest.raises(KeyboardInterrupt):
        for number, result in pool.each(partial(stopped_at_one, tmp_path), range(5), jobs=jobs, progress=False):
            found.append((number, result))
    assert found in ([], [(0, 0)]) and not (tmp_path / "begun 3").exists()


def test_one_job_begins_nothing_after_it():
    begun = []
    with pytest.raises(KeyboardInterrupt):
        list(pool.each(lambda task: begun.append(task) or (task if task < 2 else None), [0, 1, 2, 3], jobs=1,
                       progress=False))
    assert begun == [0, 1, 2]
