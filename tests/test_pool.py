"""Work in processes: every result with its task, and nothing begun after Ctrl-C."""

from functools import partial

import pytest

from bbbnp.experiments import pool


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_task_gives_its_result(jobs):
    assert dict(pool.each(abs, [-3, 2, -1], jobs=jobs, progress=False)) == {0: 3, 1: 2, 2: 1}


@pytest.mark.parametrize("jobs", [1, 2])
def test_after_a_task_that_was_stopped_there_are_no_more(jobs):
    found = []
    with pytest.raises(KeyboardInterrupt):
        for number, result in pool.each(partial(dict.get, {0: "a", 2: "b"}), [0, 1, 2, 2, 2], jobs=jobs,
                                        progress=False):
            found.append((number, result))
    assert len(found) < 4 and all(result is not None for _, result in found)


def test_one_job_begins_nothing_after_it():
    begun = []
    with pytest.raises(KeyboardInterrupt):
        list(pool.each(lambda task: begun.append(task) or (task if task < 2 else None), [0, 1, 2, 3], jobs=1,
                       progress=False))
    assert begun == [0, 1, 2]
