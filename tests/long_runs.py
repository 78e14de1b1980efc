"""Watch memory and open files of a training for hours, and see that neither grows.

``python tests/long_runs.py train --hours 2 --record FILE`` trains the digits, with validation and
a checkpoint after each epoch, and writes one line of JSON every ten seconds. Linux only: the
figures come from /proc.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETTLED = 0.1  # the share of a run that may still take memory


def descendants(process):
    """Return the numbers of a process and of all that come from it."""
    found = [process]
    for number in found:
        for children in Path(f'/proc/{number}/task').glob('*/children'):
            found += [int(child) for child in children.read_text().split()]
    return found


def sample(process):
    """Return resident bytes and open files of a process with its workers."""
    resident, files, page = 0, 0, os.sysconf('SC_PAGE_SIZE')
    numbers = descendants(process)
    for number in numbers:
        try:
            resident += page * int(Path(f'/proc/{number}/statm').read_text().split()[1])
            files += len(os.listdir(f'/proc/{number}/fd'))
        except OSError:  # it has ended
            continue
    return dict(resident=resident, files=files, processes=len(numbers))


def growth(samples):
    """Return by how much the middle of the last tenth is above that of the first settled tenth."""
    settled = samples[int(len(samples) * SETTLED) :]
    tenth = max(1, len(settled) // 10)

    def middle(part, name):
        return sorted(one[name] for one in part)[len(part) // 2]

    first, last = settled[:tenth], settled[-tenth:]
    resident = middle(last, 'resident') / middle(first, 'resident') - 1
    return resident, middle(last, 'files') - middle(first, 'files')


def watch(command, seconds, record, every=10.0):
    """Run a command for so long, sample it, stop it in good order and return the samples."""
    samples, began = [], time.monotonic()
    with open(record, 'w') as log, open(f'{record}.log', 'w') as talk:
        process = subprocess.Popen(command, stdout=talk, stderr=subprocess.STDOUT)
        while process.poll() is None and time.monotonic() - began < seconds:
            time.sleep(every)
            seen = dict(seconds=round(time.monotonic() - began), **sample(process.pid))
            samples.append(seen)
            log.write(json.dumps(seen) + '\n')
            log.flush()
        process.send_signal(signal.SIGTERM)
        process.wait()
    return samples


def training(folder, workers=0):
    """Return the command of a training of the digits that does not end by itself."""
    options = ['train_cfg.max_epochs=100000', 'default_hooks.checkpoint.interval=1']
    options += ['default_hooks.checkpoint.max_keep_ckpts=3', f'work_dir={folder}']
    options += [f'train_dataloader.num_workers={workers}']
    options += ['default_hooks.report_page.enable=False']
    tool = str(ROOT / 'tools' / 'train.py')
    return [sys.executable, tool, 'configs/convit_drloc_digits.py', '--cfg-options', *options]


def main():
    """Watch one kind of run and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('kind', choices=['train'])
    parser.add_argument('--hours', type=float, default=2.0)
    parser.add_argument('--record', required=True, help='a file of samples, one line each')
    parser.add_argument('--work-dir', required=True)
    args = parser.parse_args()
    samples = watch(training(args.work_dir), 3600 * args.hours, args.record)
    resident, files = growth(samples)
    grown = f'resident memory {100 * resident:+.2f} %, open files {files:+d}'
    print(f'{len(samples)} samples: {grown}')


if __name__ == '__main__':
    main()
