"""A thread that does jobs in order while the rank computes."""

import queue
import threading
from collections.abc import Callable

Job = Callable[[], None]


class Background:
    """Jobs done one after the other; the first that fails ends all work.

    Its error is raised by every later call, in the caller's thread.
    """

    def __init__(self, name: str, waiting: int) -> None:
        self._jobs: queue.Queue[Job | None] = queue.Queue(waiting)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Have a job done; waits while too many are waiting."""
        self._check()
        self._jobs.put(job)

    def wait(self) -> None:
        """Until every job is done."""
        self._jobs.join()
        self._check()

    def end(self) -> None:
        """End the thread once every job is done; raises nothing."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._try(job)
            del job  # or it would keep its tensors until the next one comes
            self._jobs.task_done()

    def _try(self, job: Job) -> None:
        if self._error is not None:
            return
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - it is raised again where it can be heard
            self._error = error
