"""Exit codes, one for each kind of end, and the signals that end the command line."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ..errors import CellferryError, InvalidKeyError, OptionError, UnknownEngineError

EXIT_OK, EXIT_ERROR, EXIT_USAGE, EXIT_FAILED_CLUSTERS = 0, 1, 2, 3
EXIT_INTERRUPTED = 130

EXIT_CODES = """\
Exit codes:
  0    everything was answered
  1    an error: nothing was answered, or the answer could not be written
  2    usage: no such command, option, engine or value
  3    finished, and some clusters or cells failed; the reason is on standard error
  130  interrupted (SIGINT, Ctrl-C); 143 by SIGTERM, 129 by SIGHUP
"""

_USAGE = (OptionError, UnknownEngineError, InvalidKeyError)
"""What is wrong with the line that was typed, whatever is in the files."""


def exit_code_of(error: CellferryError) -> int:
    """Return the exit code of an error.

    Examples
    --------
    >>> from cellferry.errors import InputError
    >>> exit_code_of(InputError("There is no such file.")), exit_code_of(UnknownEngineError("x"))
    (1, 2)
    """
    return EXIT_USAGE if isinstance(error, _USAGE) else EXIT_ERROR


AGAIN_SECONDS = 0.05
"""After which a signal is sent again whose exception was lost."""


class Stopped(KeyboardInterrupt):
    """A signal that ends the process arrived.

    It is an interrupt as Ctrl-C is: a run is noted as interrupted, children and temporary folders
    are cleared away on its way out.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def exit_code_of_interrupt(interrupt: BaseException) -> int:
    """Return 128 and the number of the signal, as shells do."""
    return 128 + interrupt.number if isinstance(interrupt, Stopped) else EXIT_INTERRUPTED


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raise :class:`Stopped` in the main thread at SIGTERM and SIGHUP.

    A second one while the first clears away is ignored; Ctrl-C is not. A signal that whoever
    started us had switched off (``nohup``) stays so. One that arrives where Python loses every
    exception, as in a callback of the garbage collector, is sent again a moment later.
    """
    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in signals}
    mine = [number for number, handler in before.items() if handler == signal.SIG_DFL]

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in mine:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(number)

    def lost(what: sys.UnraisableHookArgs) -> None:
        number = signal.SIGINT
        if isinstance(what.exc_value, Stopped):
            number = signal.Signals(what.exc_value.number)
            signal.signal(number, stop)
        elif not isinstance(what.exc_value, KeyboardInterrupt):
            hook(what)
            return
        threading.Timer(AGAIN_SECONDS, _send, [number]).start()

    hook, sys.unraisablehook = sys.unraisablehook, lost
    for number in mine:
        signal.signal(number, stop)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number in mine:
            signal.signal(number, before[number])


def _send(number: signal.Signals) -> None:
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, number)
    else:
        signal.raise_signal(number)
