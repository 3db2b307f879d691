"""Another Python that does something, says that it is ready, and stays until it is killed."""

import os
import subprocess
import sys
from contextlib import contextmanager

END = """
print("ready", flush=True)
import time
time.sleep(60)
"""


@contextmanager
def other_process(code, argument):
    process = subprocess.Popen(
        [sys.executable, "-c", code + END, argument],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
