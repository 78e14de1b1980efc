"""Kill a small training repeatedly at any point, and compare it with an uninterrupted one.

``python tests/kill_matrix.py 500`` kills 500 times. Each run is a fork of this process, so that a
kill costs less than a second: torch is imported once.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import torch
import toy_training
from checkpoint_entries import differing
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from vit_plugins.engine.interruption import (
    StopHook,
    TrainingStopped,
    exit_code,
    stopping_between_steps,
)
from vit_plugins.fileio import atomic_backend
from vit_plugins.weights.newest_checkpoint import resume_from
from vit_plugins.weights.safe_reading import load_checkpoint_file

STEPS, EPOCHS = 20, 5
PARTS = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers')
KINDS = {'classifier': {}, 'retrieval': dict(model='RETRIEVER'), 'steps': dict(by_iter=True)}


def settings(folder, kind):
    """Write the config of a run of 20 steps, saved every four of them."""
    case = dict(KINDS[kind])
    case['model'] = getattr(toy_training, case.get('model', 'CLASSIFIER'))
    config = toy_training.settings(folder, **case)
    by_steps = 'max_iters' in config['train_cfg']
    config['train_cfg'].update(dict(max_iters=STEPS) if by_steps else dict(max_epochs=EPOCHS))
    config['custom_hooks'] = [dict(type='EMAHook', momentum=0.1)]
    config['default_hooks']['checkpoint']['interval'] = 4 if by_steps else 1
    return config


class Calls:
    """Counts the calls that write a checkpoint, and ends the process before one of them."""

    def __init__(self, last=None):
        self.last, self.count = last, 0
        for owner, name in [(os, 'fsync'), (os, 'replace'), (os, 'open'), (os, 'close')]:
            setattr(owner, name, self.counted(getattr(owner, name)))
        for name in ('open', 'unlink', 'mkdir'):
            method = self.counted(getattr(Path, name))
            setattr(atomic_backend.Path, name, method)
        torch.save = self.counted(torch.save)

    def counted(self, function):
        def call(*args, **kwargs):
            if self.count == self.last:
                os.kill(os.getpid(), signal.SIGKILL)
            self.count += 1
            return function(*args, **kwargs)

        return call


def train(config, calls):
    """Run the training to its end, from the newest checkpoint if there is one."""
    cfg = Config(config)
    runner = Runner.from_cfg(resume_from(cfg, 'auto'))
    stop = StopHook()
    runner.register_hook(stop)
    counter = Calls(calls) if calls is not None else None
    with stopping_between_steps(stop):
        runner.train()
    return counter


def fork(config, calls=None, report=None):
    """Start a run in a new process and return its number."""
    process = os.fork()
    if process:
        return process
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    code = 0
    try:
        counter = train(config, calls)
        if report is not None:
            Path(report).write_text(str(counter.count))
    except TrainingStopped as stopped:
        code = exit_code(stopped.number)
    except BaseException:
        traceback.print_exc()
        code = 1
    os._exit(code)


def ended(process):
    """Wait for a run and return its exit code; a negative one is a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def last(folder):
    name = f'epoch_{EPOCHS}.pth'
    path = Path(folder) / (name if (Path(folder) / name).exists() else f'iter_{STEPS}.pth')
    return load_checkpoint_file(path, 'cpu')


class Matrix:
    """Kills of one type of run, in a folder.

    Args:
        kind: A key of ``KINDS``.
        folder: Where the runs lie.
        rng: The random generator of the kill points.
    """

    def __init__(self, kind, folder, rng):
        self.kind, self.folder, self.rng = kind, Path(folder), rng
        self.kills = self.runs = self.stops = 0
        began = time.perf_counter()
        config = settings(self.folder / 'whole', kind)
        counted = self.folder / 'calls'
        assert ended(fork(config, calls=-1, report=counted)) == 0
        self.seconds = time.perf_counter() - began
        self.calls = int(counted.read_text())
        self.whole = last(self.folder / 'whole')

    def finish(self, config):
        """Continue a run to its end and compare it."""
        code = ended(fork(config))
        assert code == 0, f'{self.kind}: a resumed run ended with {code}'
        self.compare(config)

    def compare(self, config):
        """Check that a run ended like the uninterrupted one and left no unfinished file."""
        wrong = differing(self.whole, last(config['work_dir']), PARTS)
        assert not wrong, f'{self.kind}: {len(wrong)} differ, as {wrong[:3]}'
        left = [path.name for path in Path(config['work_dir']).glob('*.partial')]
        assert not left, f'{self.kind}: {left} are left'
        self.runs += 1
        shutil.rmtree(config['work_dir'])

    def at_call(self, number):
        """Kill before a call that writes, and continue."""
        config = settings(self.folder / f'call{number}', self.kind)
        code = ended(fork(config, calls=number))
        assert code == -signal.SIGKILL, f'{self.kind}: call {number} ended with {code}'
        self.kills += 1
        self.finish(config)

    def anywhere(self, kills):
        """Kill a run at random times until it reaches its end, and repeat this."""
        goal = self.kills + kills
        while self.kills < goal:
            config = settings(self.folder / f'run{self.runs}', self.kind)
            code = None
            while code != 0:
                process = fork(config)
                time.sleep(self.rng.uniform(0, 1.1 * self.seconds))
                number = signal.SIGTERM if self.rng.random() < 0.2 else signal.SIGKILL
                os.kill(process, number)
                code = ended(process)
                assert code in (0, -signal.SIGKILL, -signal.SIGTERM, 75), f'it ended with {code}'
                self.kills += code == -signal.SIGKILL
                self.stops += code in (75, -signal.SIGTERM)
            self.compare(config)


def main(kills, folder):
    """Kill runs: first at every call that writes, then anywhere, each type of run in turn.

    Args:
        kills: The least number of kills, if there are fewer calls that write.
        folder: Where the runs lie.
    """
    init_default_scope('mmpretrain')
    matrices = [Matrix(kind, Path(folder, kind), random.Random(kind)) for kind in KINDS]
    for number in range(max(matrix.calls for matrix in matrices)):
        for matrix in matrices:
            if number < matrix.calls and sum(m.kills for m in matrices) < kills:
                matrix.at_call(number)
    done, there = ([getattr(m, name) for m in matrices] for name in ('kills', 'calls'))
    print(f'killed at {done} of {there} calls that write, of {list(KINDS)}', flush=True)
    while sum(matrix.kills for matrix in matrices) < kills:
        for matrix in matrices:
            matrix.anywhere(1)
            tell(matrices)
    tell(matrices)
    return sum(matrix.kills for matrix in matrices)


def tell(matrices):
    """Print the progress."""
    parts = [f'{m.kind} {m.kills} kills, {m.stops} stops, {m.runs} ends' for m in matrices]
    total = sum(matrix.kills for matrix in matrices)
    print(f'{total} kills survived, all ends bit-equal: {"; ".join(parts)}', flush=True)


if __name__ == '__main__':
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 30, place)
