"""Functions that workers of a test are sent to."""

import os
import signal
import time
from pathlib import Path

import numpy as np


def square(shared, where, number):
    """Leave a mark that it was done, take a while, and return the square."""
    with (Path(where["folder"]) / "done.txt").open("a") as marks:
        marks.write(f"{number}\n")
    time.sleep(shared["seconds"])
    return {"square": np.array([number**2])}


def die(shared, where, number):
    """End the process in which it runs, as the kernel does where memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(shared, where, number):
    from cellferry.errors import InvalidObjectError

    message = f"The unit {number} is refused."
    raise InvalidObjectError(message, "Try another.", number=number)


def look(where):
    """Raise where there is no file."""
    Path(where["folder"], "there.txt").read_text()
