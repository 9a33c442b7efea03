"""Releasing and grading the assignments, on top of nbgrader.

``release`` makes the notebooks that students get from the instructors' sources; ``submissions`` puts answers into a
release, as a student would.
"""
