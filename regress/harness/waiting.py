"""Waiting for a condition."""

import time


def wait_until(condition, timeout=30, every=0.02, what="condition"):
    """The first true value of condition(), which is called again until `timeout` seconds are over."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} within {timeout} s")
        time.sleep(every)
