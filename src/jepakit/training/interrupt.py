"""Note Ctrl-C and SIGTERM so that the loop can save before it leaves."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Interrupt:
    """Hold the first signal that arrived, if any."""

    signal_number: int | None = None

    def __bool__(self) -> bool:
        return self.signal_number is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal_number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt  # a second Ctrl-C does not wait
        self.signal_number = number

    @contextlib.contextmanager
    def watching(self) -> Iterator["Interrupt"]:
        """Catch both signals within a `with` block (in the main thread; elsewhere nothing is caught)."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._note) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
