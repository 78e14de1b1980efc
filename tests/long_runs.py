"""Record memory and open files of long runs, and check that neither grows.

- ``python tests/long_runs.py train --hours 2``: the digits, with a validation and a checkpoint
  after each epoch;
- ``python tests/long_runs.py queries --number 100000``: searches in a gallery, of single photos,
  batches and lists that worker processes read, among them whole ``retrieve query`` commands;
- ``python tests/long_runs.py predictions --number 10000``: the same of ``predict``.

``--record FILE`` keeps the samples, one line of JSON each. Linux only: the figures are from /proc.
The exit code is 1 if memory grew by more than 2 %, or an open file was left.
"""

import argparse
import itertools
import json
import os
import re
import runpy
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESIDENT = re.compile(r'^(VmRSS|RssAnon|RssShmem):\s+(\d+) kB', re.M)
TOOLS = ROOT / 'tools'
SETTLING = 0.1  # the share of a run that may take memory
FEWEST = 50  # samples; the middle of a tenth of fewer says nothing
MOST_GROWTH = 0.02
TURN = (*(1, 32, 1, 64) * 7, 300)  # photos per call; 300 files are read by worker processes


def descendants(process):
    """Return the numbers of a process and of all its descendants."""
    found = [process]
    for number in found:
        for children in Path(f'/proc/{number}/task').glob('*/children'):
            try:
                found += [int(child) for child in children.read_text().split()]
            except OSError:  # a thread that has ended
                continue
    return found


def sample(process):
    """Return resident bytes, own bytes and open files of a process and its workers.

    Pages of files (libraries) are resident, but not own: the kernel removes and reloads them at
    any time, which would hide a growth.
    """
    resident = own = files = 0
    numbers = descendants(process)
    for number in numbers:
        try:
            status = Path(f'/proc/{number}/status').read_text()
            files += len(os.listdir(f'/proc/{number}/fd'))
        except OSError:  # it has ended
            continue
        of_kind = Counter({name: 1024 * int(kilo) for name, kilo in RESIDENT.findall(status)})
        resident += of_kind['VmRSS']
        own += of_kind['RssAnon'] + of_kind['RssShmem']
    return dict(resident=resident, own=own, files=files, processes=len(numbers))


def growth(samples):
    """Return by how much own and resident memory (shares) and open files (a number) grew.

    Medians of the last tenth and of the first tenth after a warm-up part are compared: short
    peaks and dips do not count; a slow growth and a late jump that stays do.
    """
    if len(samples) < FEWEST:
        raise ValueError(f'{len(samples)} samples are too few to tell a growth: take {FEWEST}')
    settled = samples[int(len(samples) * SETTLING) :]
    tenth = len(settled) // 10

    def middles(name):
        values = [one[name] for one in settled]
        return statistics.median_low(values[:tenth]), statistics.median_low(values[-tenth:])

    shares = [last / first - 1 for first, last in map(middles, ('own', 'resident'))]
    files, files_last = middles('files')
    return *shares, files_last - files


class Record:
    """The samples of a run, kept in a file if one is named."""

    def __init__(self, file=None):
        self.samples, self.began = [], time.monotonic()
        self.log = open(file or os.devnull, 'w')  # noqa: SIM115  (open as long as the run)

    def add(self, process, **about):
        seen = dict(seconds=round(time.monotonic() - self.began, 1), **about, **sample(process))
        self.samples.append(seen)
        print(json.dumps(seen), file=self.log, flush=True)


def watch(command, seconds, record, talk, ready, every=10.0):
    """Run a command, sample it for a time after it is ready, and stop it in the normal way."""
    process = subprocess.Popen(command, stdout=talk, stderr=subprocess.STDOUT, cwd=ROOT)
    try:
        while process.poll() is None and not ready():
            time.sleep(0.5)
        began = time.monotonic()
        while process.poll() is None and time.monotonic() - began < seconds:
            time.sleep(every)
            record.add(process.pid)
        if process.poll() is not None:
            raise RuntimeError(f'{command} ended with {process.returncode} before its time')
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def training(folder, workers=0):
    """Return the command of a training on digits that does not end by itself."""
    options = ['train_cfg.max_epochs=100000', 'default_hooks.checkpoint.interval=1']
    options += ['default_hooks.checkpoint.max_keep_ckpts=3', f'work_dir={folder}']
    options += ['default_hooks.report_page.enable=False']
    # the first plots take memory that then stays: a plot after each epoch, from the beginning
    options += ['default_hooks.learning_curve.min_seconds=0']
    options += [f'train_dataloader.num_workers={workers}']
    config = str(ROOT / 'configs' / 'convit_drloc_digits.py')
    return [sys.executable, str(TOOLS / 'train.py'), config, '--cfg-options', *options]


def train(args, record):
    """Train on digits for some hours, after ten epochs that are not sampled."""
    seconds = 3600 * args.hours
    saved = args.folder / 'digits'

    def ready():
        return any(saved.glob('epoch_[0-9][0-9].pth'))

    with open(args.folder / 'train.log', 'w') as talk:
        watch(training(saved), seconds, record, talk, ready, every=min(10.0, seconds / 100))


def trained(folder, recipe):
    """Write config and checkpoint of a training, here with random weights."""
    import torch
    from mmengine.config import Config
    from mmpretrain.registry import MODELS
    from mmpretrain.utils import register_all_modules

    import vit_plugins  # noqa: F401  (registration)

    torch.manual_seed(0)
    torch.set_num_threads(1)
    register_all_modules()
    config = Config.fromfile(ROOT / 'configs' / f'{recipe}.py')
    folder.mkdir(exist_ok=True)
    config.dump(folder / f'{recipe}.py')
    torch.save({'state_dict': MODELS.build(config.model).state_dict()}, folder / 'epoch_1.pth')
    return folder


def photos(folder, number):
    """Write small photos made from a seed and return their paths."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(number)
    folder.mkdir()
    paths = [folder / f'{i:05d}.jpg' for i in range(number)]
    for path in paths:
        pixels = rng.integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(pixels).resize((64, 48)).save(path)
    return list(map(str, paths))


def calls(paths, number):
    """Yield queries: one photo or several, as files, arrays or images, in turn."""
    import numpy as np
    from PIL import Image

    images = [Image.open(path).copy() for path in paths[:64]]
    arrays = [np.asarray(image) for image in images]
    forms = itertools.cycle([paths, images, arrays])
    start = asked = 0
    for size in itertools.cycle(TURN):
        if asked >= number:
            return
        size = min(size, number - asked)
        start, asked = start + 1, asked + size
        some = next(forms) if size <= len(images) else paths
        yield [some[(start + i) % len(some)] for i in range(size)]


def repeat(answer, command, paths, number, record):
    """Query in this process, and by a whole command after each twentieth of the queries."""
    assert command() == 0  # what is imported or made at the first use is there then
    for some in calls(paths, sum(TURN)):
        answer(some)
    count = sampled = commands = 0
    for some in calls(paths, number):
        answers = answer(some if len(some) > 1 else some[0])
        assert [one.problem for one in answers] == [None] * len(some)
        count += len(some)
        if 20 * count >= number * (commands + 1):
            assert command() == 0
            commands += 1
        if count - sampled >= number / 200:
            record.add(os.getpid(), count=count)
            sampled = count
    print(f'{count} asked for in this process, and {commands} commands')


def tool(name):
    """Return the main function of a command."""
    return runpy.run_path(str(TOOLS / f'{name}.py'))['main']


def queries(args, record):
    """Search in a gallery."""
    from vit_plugins.inference.search import Searcher

    folder, retrieve = args.folder, tool('retrieve')
    model, asked = trained(folder / 'model', 'retrieval_digits'), photos(folder / 'asked', 300)
    photos(folder / 'photos', 1000)
    gallery, out = str(folder / 'gallery'), str(folder / 'found')
    assert retrieve(['index', gallery, str(folder / 'photos'), '--work-dir', str(model)]) == 0
    query = ['query', gallery, *asked[:12], '--out', out]
    searcher = Searcher(gallery)
    repeat(searcher, lambda: retrieve(query), asked, args.number, record)


def predictions(args, record):
    """Classify photos."""
    from vit_plugins.inference.classify import Classifier

    folder, predict = args.folder, tool('predict')
    model, asked = trained(folder / 'model', 'convit_drloc_digits'), photos(folder / 'asked', 300)
    words = [str(model), *asked[:12], '--out', str(folder / 'answers.csv')]
    repeat(Classifier(model), lambda: predict(words), asked, args.number, record)


def main():
    """Run one type of run and print its figures."""
    about, _, more = __doc__.partition('\n')
    kinds = {kind.__name__: kind for kind in (train, queries, predictions)}
    parser = argparse.ArgumentParser(
        description=about, epilog=more, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('kind', choices=kinds)
    parser.add_argument('--hours', type=float, default=2.0, help='of train')
    parser.add_argument('--number', type=int, default=10_000, help='of queries or predictions')
    parser.add_argument('--record', help='a file for the samples')
    parser.add_argument('--work-dir', type=Path, help='default: a temporary folder')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        args.folder = args.work_dir or Path(place)
        args.folder.mkdir(parents=True, exist_ok=True)
        record = Record(args.record)
        kinds[args.kind](args, record)
    own, resident, files = growth(record.samples)
    most, seconds = max(one['resident'] for one in record.samples), record.samples[-1]['seconds']
    print(
        f'{len(record.samples)} samples in {seconds:.0f} s: own memory {own:+.2%}, resident '
        f'{resident:+.2%} (at most {most / 1e6:.0f} MB), open files {files:+d}'
    )
    return int(max(own, resident) > MOST_GROWTH or files > 0)


if __name__ == '__main__':
    sys.exit(main())
