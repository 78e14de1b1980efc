"""Kill trainings and predictions that have worker processes, and check that no worker is left.

``python tests/left_workers.py`` kills each in several ways. Linux only: it reads /proc.
"""

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from long_runs import ROOT, TOOLS, descendants, photos, trained, training

# a parent that is stalled first leaves workers that have filled their pipes
KILLS = ((signal.SIGKILL, False), (signal.SIGKILL, True), (signal.SIGTERM, False))
WORKERS = 2
PATIENCE = 30  # seconds that a worker may take to notice that its parent is gone


def left_after(command, number, stalled, talk, patience=PATIENCE):
    """Kill a command with workers; return the seconds until they ended, and the remaining ones."""
    process = subprocess.Popen(command, stdout=talk, stderr=subprocess.STDOUT, cwd=ROOT)
    found = []
    while len(found) < WORKERS:
        if process.poll() is not None:
            raise RuntimeError(f'{command} ended with {process.returncode} before it had workers')
        time.sleep(0.1)
        found = descendants(process.pid)[1:]
    if stalled:
        process.send_signal(signal.SIGSTOP)
        time.sleep(3)
    process.send_signal(number)
    began = time.monotonic()
    process.wait(PATIENCE)
    while any(map(is_running, found)) and time.monotonic() - began < patience:
        time.sleep(0.1)
    seconds = time.monotonic() - began
    left = [one for one in found if is_running(one)]
    for one in left:
        os.kill(one, signal.SIGKILL)
    return seconds, left


def is_running(process):
    """Return whether a process exists and is not a zombie."""
    try:
        return Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def main():
    """Kill a prediction and a training in several ways, and print what their workers did."""
    left = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model = trained(folder / 'model', 'convit_drloc_digits')
        photos(folder / 'photos', 3000)
        predict = [sys.executable, str(TOOLS / 'predict.py'), str(model), str(folder / 'photos')]
        predict += ['--workers', str(WORKERS), '--out', str(folder / 'answers.jsonl')]
        trainings = (training(folder / f'digits{i}', WORKERS) for i in itertools.count())
        with open(folder / 'killed.log', 'w') as talk:
            for name, command in (('predict', itertools.repeat(predict)), ('train', trainings)):
                for number, stalled in KILLS:
                    seconds, some = left_after(next(command), number, stalled, talk)
                    left += some
                    how = signal.Signals(number).name + ', stalled for 3 s before' * stalled
                    told = f'{len(some)} of {WORKERS} workers left after {seconds:.1f} s'
                    print(f'{name}, {how}: {told}', flush=True)
    return int(bool(left))


if __name__ == '__main__':
    sys.exit(main())
