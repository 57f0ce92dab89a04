"""The checks of all exercises: ``check.E13(my_function)``.

Right: one calm line. Wrong: a WrongAnswer with a sentence that says what is wrong, never the target.
"""

from bbbnp.course import lecture_00, lecture_06, lecture_08
from bbbnp.course.exercise import WrongAnswer

LECTURES = {"00": lecture_00.EXERCISES, "06": lecture_06.EXERCISES, "08": lecture_08.EXERCISES}
EXERCISES = {exercise.name: exercise for exercises in LECTURES.values() for exercise in exercises}
__all__ = ["EXERCISES", "LECTURES", "WrongAnswer", *EXERCISES]

globals().update(EXERCISES)
