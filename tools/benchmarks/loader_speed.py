"""Images per second of the data loaders, and what they leave of the model's speed.

    python tools/benchmarks/loader_speed.py
    python tools/benchmarks/loader_speed.py CONFIG --data-root DIR --config-model --workers 4 8 16

A config with 3-Augment, its pipeline against the same one of MMPretrain's own transforms, each
with RandomResizedCrop and with simple random crop (SRC), at several numbers of workers. All is
built from the config as tools/train.py builds it. Images are JPEGs of 500 x 375 made for this
run, or those of --data-root. On a CPU the model is by default a small one (two layers of width
64, patches of 32): a ViT-S takes so long there that any loader keeps up. Everything takes turns
in each of three rounds; medians are printed. Takes minutes. Columns:

    images/s   of the loader alone, over an epoch, its workers already running
    x stock    that, over the same of MMPretrain's transforms (median of the rounds' ratios)
    step ms    a training step with this loader
    x alone    that, over a step of the model with its batches already in memory

--collate measures something else: what a batch of images of 32 px costs the process that trains,
from the loader to the target of the loss, by MMPretrain's two collate functions, by ours, and by
images that are kept in memory (CachedImages).
"""

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'deit3' / 'deit3-small-p16_8xb256-800e_in1k.py'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', nargs='?', default=str(CONFIG), help=f'default: {CONFIG.name}')
    parser.add_argument('--data-root', metavar='DIR', help='class folders, or train and val')
    parser.add_argument('--num-images', type=int, default=192, help='to make for the run')
    parser.add_argument('--batch-size', type=int, default=32)
    parser.add_argument('--workers', type=int, nargs='+', default=[0, 1, 2, 4])
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument(
        '--config-model', action='store_true', help="the config's model on a CPU, too"
    )
    parser.add_argument(
        '--collate', action='store_true', help='only what collating costs the main process'
    )
    parser.add_argument('--cfg-options', nargs='+', default=[], help='as in tools/train.py')
    args = parser.parse_args(argv)
    if min(args.batch_size, args.rounds) < 1 or min(args.workers) < 0:
        parser.error('--batch-size and --rounds must be 1 or more, --workers 0 or more')
    own = args.data_root is None and not args.collate
    if own and args.num_images < args.batch_size:
        parser.error(f'--num-images {args.num_images} do not fill a batch of {args.batch_size}')
    return args


if __name__ == '__main__':
    parse_args()  # help and wrong arguments end here, before imports that take seconds

import numpy as np
import torch
from mmengine.config import Config, ConfigDict, DictAction
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from PIL import Image
from torch.utils.data import DataLoader

from vit_plugins.config_edits.data_root import apply_data_root
from vit_plugins.config_edits.walking import leaf_datasets, type_name
from vit_plugins.engine.launch import build_runner, set_loader_defaults

CROPS = ('RandomResizedCrop', 'SimpleRandomCrop')
SMALL_MODEL = {
    'type': 'ImageClassifier',
    'backbone': {
        **{'type': 'DeiT3ViT', 'patch_size': 32},
        'arch': {'embed_dims': 64, 'num_layers': 2, 'num_heads': 2, 'feedforward_channels': 256},
    },
    'head': {'type': 'VisionTransformerBCEHead', 'num_classes': 2, 'in_channels': 64},
}


@dataclass(frozen=True)
class Contender:
    """A pipeline at a number of workers.

    Attributes:
        crop: The type of its crop.
        stock: Whether its transforms are MMPretrain's.
        workers: Loading processes; 0 loads in the process that trains.
    """

    crop: str
    stock: bool
    workers: int


def write_photos(folder: Path, number: int, seed: int = 0) -> None:
    """Write JPEGs of two classes with the spectrum of photographs, 1 / f^1.15.

    Args:
        folder: Gets ``train``, and ``val`` with an image per class.
        number: Of training images.
        seed: Of the pixels.
    """
    rng = np.random.default_rng(seed)
    height, width = 375, 500
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = np.inf  # no mean
    for part, count in (('train', number), ('val', 2)):
        for k in range(count):
            noise = np.fft.rfft2(rng.normal(size=(3, height, width))) / frequency**1.15
            levels = np.fft.irfft2(noise, (height, width)).transpose(1, 2, 0)  # (H, W, 3)
            levels = (128 + 50 * levels / levels.std((0, 1))).clip(0, 255)
            file = folder / part / 'ab'[k % 2] / f'{k}.jpg'
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(levels.astype(np.uint8)).save(file, quality=92, subsampling='4:2:0')


def with_crop(pipeline: Sequence[dict], kind: str) -> list[dict]:
    """Replace the crop of a pipeline by the other one, at the same size.

    Args:
        pipeline: With one of the two crops.
        kind: The type of the crop that is wanted.

    Raises:
        ValueError: If the pipeline has none of the two.
    """
    if not any(type_name(node) in CROPS for node in pipeline):
        raise ValueError(f'the training pipeline of the config has none of {", ".join(CROPS)}')
    result = []
    for node in pipeline:
        if type_name(node) in CROPS and type_name(node) != kind:
            if kind == 'SimpleRandomCrop':
                node = {'type': kind, 'crop_size': node['scale']}
            else:
                pillow = {'backend': 'pillow', 'interpolation': 'bicubic'}
                node = {'type': kind, 'scale': node['crop_size'], **pillow}
        result.append(node)
    return result


def stock_pipeline(pipeline: Sequence[dict]) -> list[dict]:
    """Write a pipeline with MMPretrain's own transforms in the place of ours.

    ``RandomCrop`` pads zeros even where reflection is asked for; its time is the same.

    Args:
        pipeline: May have ``ThreeAugment`` with its own members, and ``SimpleRandomCrop``.
    """
    result = []
    for node in pipeline:
        if type_name(node) == 'SimpleRandomCrop':
            size, padding = node['crop_size'], node.get('padding', 4)
            pillow = {'backend': 'pillow', 'interpolation': 'bicubic'}
            result += [
                {'type': 'ResizeEdge', 'scale': size, 'edge': 'short', **pillow},
                {
                    **{'type': 'RandomCrop', 'crop_size': size, 'padding': padding},
                    'padding_mode': 'reflect',
                },
            ]
        elif type_name(node) == 'ThreeAugment':
            result += _stock_three_augment(node)
        else:
            result.append(node)
    return result


def _stock_three_augment(node: dict) -> list[dict]:
    grey = {'prob': 1.0, 'keep_channels': True, 'channel_weights': (0.114, 0.587, 0.299)}
    radius = {'magnitude_range': (0.1, 2.0), 'magnitude_level': 10, 'magnitude_std': 'inf'}
    members = [
        {'type': 'RandomGrayscale', **grey},
        {'type': 'Solarize', 'thr': 128, 'prob': 1.0},
        {'type': 'GaussianBlur', **radius, 'prob': 1.0},
    ]
    nodes: list[dict] = [{'type': 'RandomChoice', 'transforms': [[m] for m in members]}]
    if node.get('flip_prob'):
        nodes.insert(0, {'type': 'RandomFlip', 'prob': node['flip_prob']})
    jitter = node.get('color_jitter', 0.3)
    if jitter:
        keys = ('brightness', 'contrast', 'saturation')
        nodes.append({'type': 'ColorJitter', **dict.fromkeys(keys, jitter)})
    return nodes


def read_options(words: Sequence[str]) -> dict:
    """Return what ``--cfg-options`` sets, read as the host reads it.

    Args:
        words: As ``key=value``.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument('options', nargs='+', action=DictAction)
    return parser.parse_args(words).options


def complete_config(args: argparse.Namespace, data_root: Path, work_dir: Path) -> Config:
    """Turn the arguments into a config, as tools/train.py does.

    Args:
        args: Of the command line.
        data_root: Where the images are.
        work_dir: Gets the runner's log.
    """
    cfg = Config.fromfile(args.config)
    if not (args.config_model or torch.cuda.is_available()):
        head = cfg.model.get('train_cfg') or {}
        cfg.model = ConfigDict(deepcopy(SMALL_MODEL), train_cfg=head)
    if args.cfg_options:
        cfg.merge_from_dict(read_options(args.cfg_options))
    cfg.train_dataloader.batch_size = args.batch_size
    cfg = apply_data_root(cfg, data_root, verify=False)
    cfg.train_dataloader.persistent_workers = True
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.test_cfg = cfg.test_dataloader = cfg.test_evaluator = None
    cfg.work_dir, cfg.log_level = str(work_dir), 'WARNING'
    return cfg


def build_loader(cfg: Config, contender: Contender) -> DataLoader:
    """Build the training loader of a contender.

    Args:
        cfg: The complete config.
        contender: The pipeline and the workers.
    """
    loader = deepcopy(cfg.train_dataloader)
    dataset = leaf_datasets(loader.dataset)[0]
    pipeline = with_crop(dataset['pipeline'], contender.crop)
    dataset['pipeline'] = stock_pipeline(pipeline) if contender.stock else pipeline
    loader.num_workers = contender.workers
    single = Config({'train_dataloader': loader})
    set_loader_defaults(single, ['train'])
    return Runner.build_dataloader(single.train_dataloader, seed=0)


class Trainer:
    """The model of a config with its optimizer.

    Args:
        cfg: The complete config.
    """

    def __init__(self, cfg: Config) -> None:
        self.runner = build_runner(cfg)
        self.runner.model.init_weights()
        self.model = self.runner.model.train()
        self.optim = self.runner.build_optim_wrapper(cfg.optim_wrapper)

    def seconds_per_step(self, batches: Iterable[dict]) -> float:
        """Train on all batches, and return the mean time from one to the next.

        Args:
            batches: As a loader gives them.
        """
        steps, start = 0, time.perf_counter()
        for batch in batches:
            self.model.train_step(batch, self.optim)
            steps += 1
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return (time.perf_counter() - start) / steps

    def describe(self) -> str:
        """Return the model and where it runs, as text."""
        parameters = list(self.model.parameters())
        million = sum(p.numel() for p in parameters) / 1e6
        kind = type(getattr(self.model, 'backbone', self.model)).__name__
        return f'{kind} of {million:.1f} M parameters on {parameters[0].device}'


def images_per_second(loader: DataLoader) -> float:
    """Read an epoch.

    Args:
        loader: Its workers run already.
    """
    start = time.perf_counter()
    images = sum(len(batch['inputs']) for batch in loader)
    return images / (time.perf_counter() - start)


def run(
    cfg: Config, contenders: Sequence[Contender], rounds: int
) -> tuple[str, dict[Contender, list[tuple[float, float]]], list[float]]:
    """Measure everything in turns.

    Args:
        cfg: The complete config.
        contenders: What to compare.
        rounds: How often.

    Returns:
        The model in words; images per second and seconds per step of each contender, by round;
        seconds per step of the model alone, by round.
    """
    trainer = Trainer(cfg)
    memory = list(build_loader(cfg, contenders[0]))
    trainer.seconds_per_step(deepcopy(memory))  # warm up
    found: dict[Contender, list[tuple[float, float]]] = {c: [] for c in contenders}
    alone = []
    for k in range(rounds):
        print(f'round {k + 1} of {rounds}')
        alone.append(trainer.seconds_per_step(deepcopy(memory)))  # steps write into the samples
        for contender in contenders:
            loader = build_loader(cfg, contender)
            next(iter(loader))  # starts the workers, which stay
            found[contender].append((images_per_second(loader), trainer.seconds_per_step(loader)))
    trainer.runner.visualizer.close()
    return trainer.describe(), found, alone


def table(found: dict[Contender, list[tuple[float, float]]], alone: Sequence[float]) -> str:
    """Write what was measured.

    Args:
        found: Images per second and seconds per step, by round.
        alone: Seconds per step of the model alone, by round.
    """
    lines = ['crop              pipeline  workers  images/s  x stock   step ms  x alone']
    for contender, figures in found.items():
        stock = found[Contender(contender.crop, True, contender.workers)]
        speed, step = (median(values) for values in zip(*figures, strict=True))
        gain = median(f[0] / s[0] for f, s in zip(figures, stock, strict=True))
        loss = median(f[1] / a for f, a in zip(figures, alone, strict=True))
        lines.append(
            f'{contender.crop:<17} {"stock" if contender.stock else "ours":<8} '
            f'{contender.workers:>8} {speed:>9.0f} {gain:>8.2f} {1e3 * step:>9.1f} {loss:>8.2f}'
        )
    lines.append(f'{"model alone":<45} {"":>8} {1e3 * median(alone):>9.1f} {1:>8.2f}')
    return '\n'.join(lines)


COLLATES = {  # name: collate function, preprocessor, whether the images are kept in memory
    'pseudo_collate': ('pseudo_collate', 'ClsDataPreprocessor', False),
    'default_collate': ('default_collate', 'ClsDataPreprocessor', False),
    'stacked_collate': ('stacked_collate', 'StackedDataPreprocessor', False),
    'CachedImages': ('stacked_collate', 'StackedDataPreprocessor', True),
}


def build_collating(
    name: str, workers: int, batch_size: int
) -> tuple[DataLoader, torch.nn.Module]:
    """Build a loader of 1,438 digits of 32 px, and the preprocessor for its batches.

    Args:
        name: One of ``COLLATES``.
        workers: Loading processes.
        batch_size: Images of a batch.
    """
    collate, preprocessor, cached = COLLATES[name]
    pipeline = [{'type': 'Resize', 'scale': (32, 32)}, {'type': 'PackInputs'}]
    dataset = {'type': 'Digits', 'split': 'trainval', 'pipeline': pipeline}
    loader = {
        'dataset': {'type': 'CachedImages', 'dataset': dataset} if cached else dataset,
        'sampler': {'type': 'DefaultSampler', 'shuffle': True},
        **{'batch_size': batch_size, 'num_workers': workers, 'drop_last': True},
        **{'persistent_workers': workers > 0, 'collate_fn': {'type': collate}},
    }
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        built = Runner.build_dataloader(loader, seed=0)
        return built, MODELS.build({'type': preprocessor, 'num_classes': 10})


def collate_cost(loader: DataLoader, preprocessor: torch.nn.Module) -> tuple[float, float]:
    """Read an epoch as a training does; return microseconds an image, and images per second.

    Args:
        loader: Its workers run already.
        preprocessor: Takes its batches.

    Returns:
        The CPU time of this thread for each image, in microseconds; images per second.
    """
    images, cpu, wall = 0, time.thread_time(), time.perf_counter()
    for batch in loader:
        samples = preprocessor(batch, True)['data_samples']
        torch.cat([sample.gt_label for sample in samples])  # as the host's heads do
        images += len(samples)
    cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
    return 1e6 * cpu / images, images / wall


def collate_table(workers: Sequence[int], batch_size: int, rounds: int) -> str:
    """Measure all ways to collate in turns, and write the medians.

    Args:
        workers: Numbers of loading processes.
        batch_size: Images of a batch.
        rounds: How often.
    """
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for number in workers:
        built = {name: build_collating(name, number, batch_size) for name in COLLATES}
        for parts in built.values():
            collate_cost(*parts)  # starts the workers, which stay
        for _ in range(rounds):
            for name, parts in built.items():
                found.setdefault((name, number), []).append(collate_cost(*parts))
    lines = ['batches            workers  us/image  images/s']
    for (name, number), figures in sorted(found.items(), key=lambda item: item[0][1]):
        cost, speed = (median(values) for values in zip(*figures, strict=True))
        lines.append(f'{name:<18} {number:>7} {cost:>9.1f} {speed:>9.0f}')
    return '\n'.join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    args = parse_args(argv)
    if args.collate:
        table_of = collate_table(args.workers, args.batch_size, args.rounds)
        print(f'torch {torch.__version__}, batches of {args.batch_size}\n{table_of}')
        return
    # the host's jitter warns once per image
    warnings.filterwarnings('ignore', category=UserWarning, module='mmcv')
    contenders = [
        Contender(crop, stock, workers)
        for crop in CROPS
        for workers in args.workers
        for stock in (False, True)
    ]
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        data_root = Path(args.data_root or Path(folder) / 'data')
        if args.data_root is None:
            write_photos(data_root, args.num_images)
        try:
            cfg = complete_config(args, data_root, Path(folder) / 'work')
            described, found, alone = run(cfg, contenders, args.rounds)
        except (ValueError, FileNotFoundError) as error:
            sys.exit(str(error))
    print(
        f'torch {torch.__version__}, {torch.get_num_threads()} threads, batches of '
        f'{args.batch_size}; {described}\n{table(found, alone)}'
    )


if __name__ == '__main__':
    main()
