"""A process that asks for a status all the time: ``python -m tests.attack.server.watch URL PAUSE``.

It is a process of its own, so that what it measures is the server and not the other clients. It
also measures how late the machine lets it do a little work (`late`). It ends with its standard
input, and then writes what it found as JSON.
"""

import json
import sys
import threading
import time

import httpx


def late():
    """Return how much longer a few milliseconds of work took than they are."""
    begun, own = time.perf_counter(), time.thread_time()
    sum(i * i for i in range(20_000))
    return time.perf_counter() - begun - (time.thread_time() - own)


def main():
    url, pause = sys.argv[1], float(sys.argv[2])
    end = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), end.set()), daemon=True).start()
    found = {"seconds": [], "late": [], "failures": []}
    with httpx.Client(timeout=60) as client:
        while not end.wait(pause):
            begun = time.perf_counter()
            try:
                answer = client.get(url)
                if answer.status_code != 200:
                    found["failures"].append(answer.text)
            except httpx.HTTPError as error:
                found["failures"].append(repr(error))
            found["seconds"].append(time.perf_counter() - begun)
            found["late"].append(late())
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
