"""Checks of exercises: each known mistake gets its own sentence, each right answer passes, no target is printed."""

import re

import numpy as np
import pytest

from bbbnp.course import check, lecture_06
from bbbnp.course.exercise import WrongAnswer

ALL = [pytest.param(exercise, marks=[getattr(pytest.mark, mark) for mark in exercise.equations], id=name)
       for name, exercise in check.EXERCISES.items()]
MISTAKES = [pytest.param(exercise, wrong, id=f"{name}-{i}") for name, exercise in check.EXERCISES.items()
            for i, wrong in enumerate(exercise.wrong)]


def message(exercise, function):
    with pytest.raises(WrongAnswer) as caught:
        exercise(function)
    return str(caught.value)


def targets(exercise):
    """Every number of the truth that has digits enough to be known again."""
    values = np.concatenate([a.ravel() for case in exercise.cases() for a in exercise._run(exercise.right, case)])
    return values[np.abs(values - values.round(1)) > 1e-3]


def shows(text, values):
    """Whether a number in the text is one of the values to three digits."""
    numbers = [float(number) for number in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", text)]
    return any(np.isclose(numbers, value, rtol=1e-3).any() for value in values) if numbers else False


@pytest.mark.parametrize("exercise", ALL)
def test_a_right_answer_passes(exercise, student, capsys):
    """A student's function is graded here, if --student names a module that has it."""
    exercise(student.get(exercise.function, exercise.right))
    line, = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{exercise.name}: right") and not shows(line, targets(exercise))


@pytest.mark.parametrize("exercise, wrong", MISTAKES)
def test_a_known_mistake_gets_its_own_sentence(exercise, wrong, capsys):
    text = message(exercise, wrong.function)
    assert wrong.sentence in text and not shows(text, targets(exercise)) and not capsys.readouterr().out
    assert (f"Exhibit {wrong.exhibit} " in text) == (wrong.exhibit > 0)


def test_there_are_many_mistakes_and_no_sentence_twice():
    sentences = [wrong.sentence for exercise in check.EXERCISES.values() for wrong in exercise.wrong]
    assert len(sentences) == len(set(sentences)) >= 25
    assert all(sentence.endswith(".") for sentence in sentences)


@pytest.mark.parametrize("exercise", ALL)
def test_an_unknown_mistake_is_described_and_no_target_printed(exercise):
    def slightly(*case):
        result = exercise.right(*case)
        result = result if len(exercise.outputs) > 1 else (result,)
        changed = tuple(np.asarray(a, float) * (1.001 + 1e-3 * np.arange(np.size(a)).reshape(np.shape(a)))
                        + 1e-3 for a in result)
        return changed if len(changed) > 1 else changed[0]
    assert not shows(message(exercise, slightly), targets(exercise))


def test_what_is_not_written_yet_says_so():
    def nothing(*_):
        raise NotImplementedError
    with pytest.raises(NotImplementedError):
        check.E13(nothing)


@pytest.mark.parametrize("change, sentence", [
    (lambda g, d: (g, -d), "drho has the wrong sign"), (lambda g, d: (g, 2 * d), "off by one factor"),
    (lambda g, d: (g, d + 1), "drho is not right in 2 of 2 cases; dmu is."),
    (lambda g, d: g, "must return dmu and drho"),
    (lambda g, d: (g, d[:3]), "shape"), (lambda g, d: (g, d * np.nan), "not finite"),
    (lambda g, d: None, "must return"), (lambda g, d: (g, None), "NaN or nothing"),
    (lambda g, d: (g + 1, d + 1), "smallest case")])
def test_other_errors_are_told_apart(change, sentence):
    assert sentence in message(check.E13, lambda *case: change(*lecture_06.E13.right(*case)))


def test_finite_differences_have_a_word_too():
    from dataclasses import replace
    moved = replace(check.E13, numeric=lambda *case: [1.01 * a for a in check.E13.numeric(*case)])
    assert "finite differences disagree" in message(moved, moved.right)


def test_in_a_notebook_only_the_sentence_is_shown():
    assert WrongAnswer("E13: no.")._render_traceback_() == ["E13: no."]


def test_an_answer_cannot_change_the_inputs():
    def greedy(g, rho, eps, kl_weight):
        result = check.E13.right(g.copy(), rho, eps, kl_weight)
        g[:] = 0
        return result
    check.E13(greedy)


def test_each_name_is_one_exercise():
    assert len(check.EXERCISES) == sum(map(len, check.LECTURES.values()))
    assert len({exercise.function for exercise in check.EXERCISES.values()}) == len(check.EXERCISES)
