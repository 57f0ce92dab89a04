"""The checks of all exercises: ``check.E13(my_function)``.

Right: one calm line. Wrong: a WrongAnswer with a sentence that says what is wrong, never the target. The exercises are
those of the modules ``lecture_NN`` beside this one.
"""

import importlib
from pathlib import Path

from bbbnp.course.exercise import WrongAnswer

LECTURES = {path.stem[-2:]: importlib.import_module(f"bbbnp.course.{path.stem}").EXERCISES
            for path in sorted(Path(__file__).parent.glob("lecture_[0-9][0-9].py"))}
EXERCISES = {exercise.name: exercise for exercises in LECTURES.values() for exercise in exercises}
__all__ = ["EXERCISES", "LECTURES", "WrongAnswer", *EXERCISES]

globals().update(EXERCISES)
