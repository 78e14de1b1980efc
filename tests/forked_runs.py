"""Run trainings in forks of this process, which have imported everything already."""

import os
import traceback
from collections.abc import Callable

from vit_plugins.engine.interruption import TrainingStopped, exit_code


def fork(run: Callable[[], object]) -> int:
    """Start a run in a new process and return its number."""
    process = os.fork()
    if process:
        return process
    code = 0
    try:
        run()
    except TrainingStopped as stopped:
        code = exit_code(stopped.number)
    except BaseException:
        traceback.print_exc()
        code = 1
    os._exit(code)


def ended(process: int) -> int:
    """Wait for a run and return its exit code; a negative one is a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
