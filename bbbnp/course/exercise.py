"""How an answer is checked: seeded inputs, the truth, finite differences, and the list of known wrong answers.

A check never prints the target. It says that an answer is right, which known mistake it is, or what kind of error it
has.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from bbbnp.gradcheck import worst_entry

AGREE = 1e-9
NUMERIC = 1e-6


class WrongAnswer(AssertionError):
    """An answer that is not right; in a notebook only its sentence is shown."""

    def _render_traceback_(self):
        return [str(self)]


class Wrong(NamedTuple):
    """A known wrong answer: the sentence that says what is wrong, and the mistake itself; the exhibit of the museum."""

    sentence: str
    function: object
    exhibit: int = 0


@dataclass(frozen=True)
class Exercise:
    """A function that a reader writes.

    Parameters
    ----------
    name : str
        Of the check, such as "E13".
    function : str
        Name of the function that is asked for, by which a student's module is graded.
    equations : tuple of str
        Ids of the ledger.
    outputs : tuple of str
        Names of what it returns.
    inputs : callable
        Of a generator: a list of argument tuples.
    right : callable
        The truth.
    wrong : tuple of Wrong
    numeric : callable, optional
        Of one argument tuple: the same by finite differences.
    """

    name: str
    function: str
    equations: tuple
    outputs: tuple
    inputs: object
    right: object
    wrong: tuple = ()
    numeric: object = None
    tolerance: float = field(default=AGREE)

    def cases(self):
        """The seeded argument tuples."""
        return self.inputs(np.random.default_rng(sum(map(ord, self.name))))

    def _run(self, function, case):
        """What `function` returns, as one float array for each output."""
        with np.errstate(all="ignore"):
            result = function(*(value.copy() if isinstance(value, np.ndarray) else value for value in case))
        if len(self.outputs) == 1:
            result = (result,)
        return [np.asarray(value, float) for value in result]

    def _same(self, answer, truth):
        """For each output whether it agrees, to rounding of the largest entry."""
        return [a.shape == b.shape and bool(np.all(np.isfinite(a)))
                and bool(np.all(np.abs(a - b) <= self.tolerance * (1e-300 + np.abs(b) + (b.ndim > 0) * _typical(b))))
                for a, b in zip(answer, truth)]

    def _shapes(self, function, case, truth):
        """A WrongAnswer for what has the wrong form, before any number is looked at."""
        try:
            answer = self._run(function, case)
        except (TypeError, ValueError) as error:
            raise WrongAnswer(f"{self.name}: {self.function} must return {' and '.join(self.outputs)}, and take "
                              f"{len(case)} arguments; it failed with: {error}") from error
        if any(a.ndim == 0 and np.isnan(a) for a in answer):
            raise WrongAnswer(f"{self.name}: {self.function} returned NaN or nothing. Is a return missing?")
        if len(answer) != len(truth):
            raise WrongAnswer(f"{self.name}: {self.function} must return {' and '.join(self.outputs)}")
        for name, a, b in zip(self.outputs, answer, truth):
            if a.shape != b.shape:
                raise WrongAnswer(f"{self.name}: {name} has shape {a.shape}; it must have {b.shape}")
        return answer

    def __call__(self, function):
        """Check an answer, and print one line if it is right.

        Parameters
        ----------
        function : callable

        Raises
        ------
        NotImplementedError
            As long as there is no answer.
        WrongAnswer
            With a sentence that says what is wrong, and never the target.
        """
        cases, far = self.cases(), 0.0
        truths = [self._run(self.right, case) for case in cases]
        answers = [self._shapes(function, case, truth) for case, truth in zip(cases, truths)]
        good = np.array([self._same(answer, truth) for answer, truth in zip(answers, truths)])
        if not good.all():
            raise WrongAnswer(f"{self.name}: {self._diagnosis(cases, answers, truths, good)}")
        if self.numeric is not None:
            for case, answer in zip(cases, answers):
                for g, numbers in zip(answer, self._run(lambda *c: self.numeric(*c), case)):
                    far = max(far, worst_entry(g.ravel(), numbers.ravel())[0])
            if far > NUMERIC:
                raise WrongAnswer(f"{self.name}: finite differences disagree, by {far:.0e} of the largest entry")
        proof = "" if self.numeric is None else f", and as finite differences to {max(far, 1e-16):.0e}"
        print(f"{self.name}: right, as the reference{proof}.")

    def _diagnosis(self, cases, answers, truths, good):
        """The sentence of the known wrong answer that this is, or what kind of error it has."""
        for wrong in self.wrong:
            if self._is(wrong.function, cases, answers):
                museum = f" (Exhibit {wrong.exhibit} of the museum.)" if wrong.exhibit else ""
                return wrong.sentence + museum
        column = int(np.argmin(good.all(axis=0)))
        name, bad = self.outputs[column], ~good[:, column]
        pairs = [(a[column], b[column]) for a, b, no in zip(answers, truths, bad) if no]
        if any(not np.isfinite(a).all() for a, _ in pairs):
            return f"{name} is not finite for some inputs. Which step overflows, or divides by zero?"
        if all(np.allclose(a, -b, rtol=1e-9) for a, b in pairs):
            return f"{name} has the wrong sign."
        ratios = np.concatenate([(a[b != 0] / b[b != 0]).ravel() for a, b in pairs])
        if ratios.size > 1 and np.ptp(ratios) < 1e-9 * np.abs(ratios).max():
            return f"{name} is off by one factor, the same in every entry."
        rest = [other for other, fine in zip(self.outputs, good.all(axis=0)) if fine]
        return (f"{name} is not right in {int(bad.sum())} of {len(bad)} cases" +
                (f"; {' and '.join(rest)} is." if rest else ". Check it against the smallest case by hand."))

    def _is(self, function, cases, answers):
        """Whether the answer is this known mistake, in all cases; a mistake may overflow where the answer does."""
        for case, answer in zip(cases, answers):
            for a, b in zip(answer, self._run(function, case)):
                near = self.tolerance * _typical(b[np.isfinite(b)]) if b.ndim else 0.0
                if a.shape != b.shape or not np.allclose(a, b, rtol=self.tolerance, atol=near, equal_nan=True):
                    return False
        return True


def _typical(b):
    """Root mean square of the entries: a small one is measured beside its neighbours."""
    return np.sqrt(np.mean(b**2)) if b.size else 0.0
