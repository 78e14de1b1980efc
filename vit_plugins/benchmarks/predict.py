"""Measure photos per second of ``vit-plugins predict`` and of a plain loop, from files.

The process of a case keeps freed memory for both, as the command does for itself. Otherwise it
depends on the order of the blocks in memory, which differs from process to process, how often the
C library gives blocks back to the system.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmpretrain.registry import MODELS
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as T

from ..inference.photos import PhotoModel, run_on_photos
from .augment_chains import BICUBIC, MEAN, STD, compose
from .comparison import Comparison, Side
from .sample_images import write_photos
from .setting import Setting

TINY, SMALL = (192, 12, 3, 224, 16), (384, 12, 6, 224, 16)  # dims, layers, heads, pixels, patch
# (model, photos, height, width, workers)
RUNS = {
    'toy': (((32, 2, 4, 32, 8), 6, 60, 80, 0),),
    'cpu': (
        (TINY, 64, 375, 500, 1),
        (TINY, 256, 375, 500, 1),
        (TINY, 64, 1500, 2000, 1),
    ),
    'gpu': ((SMALL, 2048, 375, 500, 8), (SMALL, 512, 1500, 2000, 8)),
    'large': ((SMALL, 8192, 375, 500, 16),),
    'scaling': tuple((TINY, number, 375, 500, 1) for number in (64, 256, 1024)),
}
CLASSES = 10
BATCH = 32
TOLERANCE = {'fp32': 1e-3, 'bf16': 5e-2, 'fp16': 1e-2}  # relative to the probabilities


def cases(size: str) -> dict[str, dict[str, Any]]:
    """Return the name of each case and its arguments.

    Args:
        size: A size of :class:`Setting`.
    """
    names = ('shape', 'photos', 'height', 'width', 'workers')
    return {_name(*run): dict(zip(names, run, strict=True)) for run in RUNS[size]}


def _name(shape: Sequence[int], photos: int, height: int, width: int, workers: int) -> str:
    return f'ViT D={shape[0]}, {photos} photos of {width} x {height}, workers: {workers}'


def build(
    setting: Setting, *, shape: Sequence[int], photos: int, height: int, width: int, workers: int
) -> Comparison:
    """Return both ways from the files to the probabilities, with the same weights.

    Args:
        setting: Device and precision.
        shape: Width, layers, heads, pixels and patch of the ViT.
        photos: Number of JPEG files in a call.
        height: Height of the photos.
        width: Width of the photos.
        workers: Number of processes that decode; each call starts them, as the command does.
    """
    folder = TemporaryDirectory()
    files = write_photos(Path(folder.name), photos, height, width)
    pixels = shape[3]
    model = _model(shape).to(setting.device).eval()
    edge = dict(scale=pixels, backend='pillow', interpolation='bicubic')
    pipeline = compose(
        [
            dict(type='LoadPhoto'),
            dict(type='ResizeEdge', **edge),
            dict(type='CenterCrop', crop_size=pixels),
            dict(type='PackInputs'),
        ]
    )
    trained = PhotoModel(model, pipeline, dataset={}, meta={})

    def ours() -> list[Tensor]:
        options = dict(title='', batch_size=BATCH, workers=workers, progress=False)
        with setting.autocast():
            found = list(run_on_photos(trained, files, **options))
        return [torch.stack([sample.pred_score for _, sample in found])]

    sides, missing = {'ours': Side(ours, ours, model)}, {}
    try:
        theirs = _timm_model(model, shape).to(setting.device).eval()
    except ImportError as error:
        missing['timm'] = f'{error}'
    else:
        loop = _timm_loop(theirs, files, pixels, workers, setting)
        sides['timm'] = Side(loop, loop, theirs)
    tolerance = TOLERANCE[setting.dtype]
    name = _name(shape, photos, height, width, workers)
    return Comparison(name, sides, tolerance, {}, photos, missing, folder, keeps_freed_memory=True)


def _model(shape: Sequence[int]) -> nn.Module:
    dims, layers, heads, pixels, patch = shape
    arch = dict(embed_dims=dims, num_layers=layers, num_heads=heads, feedforward_channels=4 * dims)
    scale = dict(mean=[255 * m for m in MEAN], std=[255 * s for s in STD], to_rgb=True)
    config = dict(
        type='mmpretrain.ImageClassifier',
        data_preprocessor=dict(type='mmpretrain.ClsDataPreprocessor', **scale),
        backbone=dict(type='mmpretrain.DeiT3ViT', arch=arch, img_size=pixels, patch_size=patch),
        head=dict(
            type='mmpretrain.VisionTransformerClsHead', num_classes=CLASSES, in_channels=dims
        ),
    )
    return MODELS.build(config)


def _timm_model(model: nn.Module, shape: Sequence[int]) -> nn.Module:
    """Return timm's model after its weights were copied into the given one."""
    from timm.models import VisionTransformer

    dims, layers, heads, pixels, patch = shape
    theirs = VisionTransformer(
        img_size=pixels, patch_size=patch, embed_dim=dims, depth=layers, num_heads=heads,
        num_classes=CLASSES, no_embed_class=True, init_values=1.0,
    )  # fmt: skip
    nn.init.normal_(theirs.head.weight)  # else all photos get the same probabilities
    state = theirs.state_dict()
    model.head.layers.head.load_state_dict({k: state.pop(f'head.{k}') for k in ('weight', 'bias')})
    model.backbone.load_state_dict(state)
    return theirs


class _Photos(Dataset):
    def __init__(self, files: Sequence[Path], pixels: int) -> None:
        self.files = files
        crop = [T.Resize(pixels, BICUBIC), T.CenterCrop(pixels)]
        self.transform = T.Compose([*crop, T.ToTensor(), T.Normalize(MEAN, STD)])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        return self.transform(Image.open(self.files[index]).convert('RGB'))


def _timm_loop(
    model: nn.Module, files: Sequence[Path], pixels: int, workers: int, setting: Setting
) -> Callable[[], list[Tensor]]:
    """Return the loop of timm's ``validate.py``: Pillow, torchvision, a loader, the model."""

    def run() -> list[Tensor]:
        loader = DataLoader(_Photos(files, pixels), BATCH, num_workers=workers)
        with torch.inference_mode(), setting.autocast():
            found = [model(images.to(setting.device)).softmax(1).float() for images in loader]
        return [torch.cat(found)]

    return run
