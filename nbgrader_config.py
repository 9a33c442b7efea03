"""How nbgrader works in this repository; nbgrader reads it when started here (see solutions/ and exercises/)."""

from pathlib import Path

c = get_config()  # noqa: F821  (nbgrader puts it in the namespace of this file)

root = Path(__file__).resolve().parent

c.CourseDirectory.course_id = "cnn-design"
c.CourseDirectory.root = str(root)
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "exercises"
# git ignores what grading makes: these three folders and the gradebook.
c.CourseDirectory.submitted_directory = "submitted"
c.CourseDirectory.autograded_directory = "autograded"
c.CourseDirectory.feedback_directory = "feedback"
c.CourseDirectory.db_url = f"sqlite:///{root / 'gradebook.db'}"

# What stands in a release where the solution was.
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
c.ClearSolutions.text_stub = "*Write your answer here.*"

# One cell of a submission may take this many seconds, on a slow machine with a busy neighbour too.
c.Execute.timeout = 120
