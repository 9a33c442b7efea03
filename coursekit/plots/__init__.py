"""Every figure that the chapters draw; each function returns a matplotlib ``Figure``."""

from coursekit.plots.style import use_course_style

__all__ = ["use_course_style"]
