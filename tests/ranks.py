"""Run a function of a test on two ranks, each in a new process as with torchrun.

``run_on_ranks(function, folder, *arguments)`` calls ``function(rank, *arguments)`` on both, within
a process group. This file is also the program of a rank.
"""

import os
import pickle
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch
from torch.distributed import TCPStore

RANKS = range(2)


class Meeting:
    """The port where ranks connect; it is bound from the start, so nobody else can take it."""

    def __init__(self):
        self.store = TCPStore('127.0.0.1', 0, is_master=True, wait_for_workers=False)

    def environment(self, rank):
        """Return the environment variables that torchrun sets for a rank."""
        return dict(
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE=str(len(RANKS)),
            MASTER_ADDR='127.0.0.1',
            MASTER_PORT=str(self.store.port),
            TORCHELASTIC_USE_AGENT_STORE='True',
            TORCHELASTIC_RESTART_COUNT='0',
        )


def run_on_ranks(function, folder, *arguments, seconds=600):
    """Call a function on each rank, and show the output of the ranks if one of them fails.

    Args:
        function: A function at the top of a test module, called with the rank and the arguments.
        folder: Where the ranks get their job and leave their output.
        *arguments: Objects that pickle can pass on.
        seconds: How long both may take together.
    """
    job, logs = Path(folder) / 'job.pickle', [Path(folder) / f'rank{rank}.log' for rank in RANKS]
    job.write_bytes(pickle.dumps((function, arguments)))
    meeting, deadline = Meeting(), time.monotonic() + seconds
    path = {'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}  # where the module was found
    ranks = []
    try:
        for rank, log in enumerate(logs):
            environment = os.environ | path | meeting.environment(rank)
            with log.open('w') as output:
                ranks.append(
                    subprocess.Popen(
                        [sys.executable, __file__, str(job)],
                        env=environment,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                    )
                )
        codes = [ended(rank, deadline) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()
    told = ''.join(f'\n--- {log.name} ---\n{log.read_text()}' for log in logs)
    assert codes == [0 for _ in RANKS], f'the ranks ended with {codes}{told}'


def ended(rank, deadline):
    """Return the exit code of a rank, or a text if it has not ended by the deadline."""
    try:
        return rank.wait(max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        return 'no end'


def main(job):
    """Be one rank."""
    from mmpretrain.utils import register_all_modules

    from vit_plugins.engine.ranks import end_ranks

    torch.set_num_threads(1)
    register_all_modules(init_default_scope=True)
    torch.distributed.init_process_group('gloo', timeout=timedelta(seconds=120))
    function, arguments = pickle.loads(Path(job).read_bytes())
    function(torch.distributed.get_rank(), *arguments)
    end_ranks()


if __name__ == '__main__':
    import vit_plugins  # noqa: F401  (before the host, which it waits for)

    main(sys.argv[1])
