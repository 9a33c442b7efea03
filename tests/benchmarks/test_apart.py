"""A call in a process of its own: its result, or why there is none; nothing of what it did stays."""

import os
import time

import pytest


@pytest.fixture(scope="module")
def apart(helper):
    return helper("_apart")


def test_the_result_comes_back_however_long(apart):
    assert apart.apart(lambda: list(range(100_000))) == list(range(100_000))


def test_what_the_call_changes_does_not_stay(apart):
    kept = []
    assert apart.apart(lambda: kept.append(1)) is None
    assert kept == []


def test_an_error_comes_back_in_a_line(apart):
    def call():
        raise KeyError("first\nsecond")

    assert apart.apart(call) == apart.Failed(r"KeyError: 'first\nsecond'")
    assert apart.attempt(call) == apart.apart(call)


def test_a_process_that_dies_is_a_failure(apart):
    assert apart.apart(lambda: os._exit(3)) == apart.Failed("its process died")


def test_a_call_that_takes_too_long_is_ended(apart):
    start = time.monotonic()
    assert apart.apart(lambda: time.sleep(60), seconds=0.2) == apart.Failed("no answer within 0.2 s")
    assert time.monotonic() - start < 30
