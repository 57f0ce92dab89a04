"""The checks of all exercises: ``check.E13(my_function)``.

Right: one calm line. Wrong: a WrongAnswer with a sentence that says what is wrong, never the target.
"""

from bbbnp.course import lecture_05, lecture_06
from bbbnp.course.exercise import WrongAnswer

LECTURES = {"05": lecture_05.EXERCISES, "06": lecture_06.EXERCISES}
EXERCISES = {exercise.name: exercise for exercises in LECTURES.values() for exercise in exercises}
__all__ = ["EXERCISES", "LECTURES", "WrongAnswer", *EXERCISES]

globals().update(EXERCISES)
