"""A study whose trainings take no time: a stub writes the files of ``tools/train.py``."""

import sys
from pathlib import Path
from textwrap import dedent

import torch

from vit_plugins.studies.cell_runner import CellRunner
from vit_plugins.studies.grid import make_cells, read_study

CONFIG = """
train_cfg = dict(by_epoch=True, max_epochs=3)
default_hooks = dict(checkpoint=dict(interval=1))
randomness = dict(seed=0)
model = dict(lift=0.0, hidden=dict(width=8), layers=[dict(size=1), dict(size=2)])
fail = ''  # the step that fails: train or test
wait_for = ''  # a file without which no epoch after the first begins
load_from = None
"""
STUDY = """
name: tiny
about: A stub.
base: base.py
axes:
  model:
    plain: {}
    lifted: {model.lift: 10.0}
seeds: [0, 1]
compare: {axis: model, baseline: plain}
"""
TRAIN = """
import argparse, json, pathlib, shutil, sys, time
parser = argparse.ArgumentParser()
parser.add_argument('config')
parser.add_argument('--work-dir', type=pathlib.Path)
parser.add_argument('--resume')
parser.add_argument('--data-root')
args = parser.parse_args()
cfg = {}
exec(open(args.config).read(), cfg)
print('training', args.data_root, cfg['load_from'])
if cfg['fail'] == 'train':
    raise SystemExit('no gradient today')
done = len(list(args.work_dir.glob('epoch_*.pth')))
logs = args.work_dir / f'attempt{done}' / 'vis_data'
logs.mkdir(parents=True)
for epoch in range(done + 1, cfg['train_cfg']['max_epochs'] + 1):
    while epoch > 1 and cfg['wait_for'] and not pathlib.Path(cfg['wait_for']).exists():
        time.sleep(0.02)
    accuracy = 50 + cfg['model']['lift'] + cfg['randomness']['seed'] + epoch
    lines = [
        dict(lr=0.1, loss=1 / epoch, time=0.5, epoch=epoch, iter=4 * epoch, step=4 * epoch),
        {'accuracy/top1': accuracy, 'time': 9.0, 'data_time': 9.0, 'step': epoch},
    ]
    with open(logs / 'scalars.json', 'a') as file:
        file.writelines(json.dumps(line) + '\\n' for line in lines)
    shutil.copyfile(
        pathlib.Path(__file__).with_name('empty.pth'), args.work_dir / f'epoch_{epoch}.part'
    )
    (args.work_dir / f'epoch_{epoch}.part').rename(args.work_dir / f'epoch_{epoch}.pth')
"""
TEST = """
import argparse, json
parser = argparse.ArgumentParser()
parser.add_argument('config')
parser.add_argument('checkpoint')
for name in ('--work-dir', '--out', '--out-item', '--data-root'):
    parser.add_argument(name)
args = parser.parse_args()
cfg = {}
exec(open(args.config).read(), cfg)
if cfg['fail'] == 'test':
    raise SystemExit('no test today')
assert open(args.checkpoint, 'rb')
accuracy = 40 + cfg['model']['lift'] + cfg['randomness']['seed'] + cfg['model']['hidden']['width']
json.dump({'accuracy/top1': accuracy}, open(args.out, 'w'))
"""


class Bench:
    """The folder of a stub study, its cells and its runner."""

    text = STUDY

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / 'out'
        self.told: list[str] = []
        for name, text in (('base.py', CONFIG), ('train.py', TRAIN), ('test.py', TEST)):
            (folder / name).write_text(text)
        torch.save({}, folder / 'empty.pth')  # what a stub training leaves
        self.write(STUDY)

    def write(self, text: str, name: str = 'tiny.yaml') -> Path:
        path = self.folder / name
        path.write_text(dedent(text))
        return path

    def cells(self, text: str | None = None):
        self.study = read_study(self.folder / 'tiny.yaml' if text is None else self.write(text))
        return make_cells(self.study)

    def runner(self, **kwargs) -> CellRunner:
        commands = {
            part: [sys.executable, '-S', str(self.folder / f'{part}.py')]
            for part in ('train', 'test')
        }
        return CellRunner(self.study, self.out, tell=self.told.append, **commands, **kwargs)
