"""Time ONNX files in onnxruntime: our ViT and timm's with equal weights, and a ConViT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ..inference.export_formats import write_onnx
from .comparison import Comparison, Side
from .setting import Setting

# (embed_dims, layers, heads, pixels, patch, batch)
SHAPES = {
    'toy': ((32, 2, 4, 32, 8, 2),),
    'cpu': ((192, 12, 4, 224, 16, 1), (384, 12, 4, 224, 16, 1), (192, 12, 4, 224, 16, 8)),
    'gpu': ((384, 12, 4, 224, 16, 64),),
    'large': ((768, 12, 16, 384, 16, 4),),
    'scaling': tuple((192, 12, 4, pixels, 16, 1) for pixels in (112, 224, 384, 512)),
}
TOLERANCE = 1e-4  # relative to the norm of the outputs, float32
LIMIT = 'our ConViT of equal width, depth and number of heads'


def cases(size: str) -> dict[str, dict[str, Any]]:
    """Return the name of each case and its arguments.

    Args:
        size: A size of :class:`Setting`.
    """
    names = ('dims', 'depth', 'heads', 'pixels', 'patch', 'batch')
    return {_name(*shape): dict(zip(names, shape, strict=True)) for shape in SHAPES[size]}


def _name(dims: int, depth: int, heads: int, pixels: int, patch: int, batch: int) -> str:
    return f'ONNX ViT D={dims} L={depth} h={heads} {pixels} px / {patch}, batch {batch}'


def build(
    setting: Setting, *, dims: int, depth: int, heads: int, pixels: int, patch: int, batch: int
) -> Comparison:
    """Return sessions of onnxruntime; the class token is the output.

    Args:
        setting: The device and the number of threads; files are float32.
        dims: Width of a token.
        depth: Number of layers.
        heads: Number of heads.
        pixels: Height and width of the images.
        patch: Height and width of a patch.
        batch: Images of a call.
    """
    arch = dict(embed_dims=dims, num_layers=depth, num_heads=heads, feedforward_channels=4 * dims)
    common = dict(arch=arch, img_size=pixels, patch_size=patch)
    ours = MODELS.build(dict(type='mmpretrain.DeiT3ViT', **common))
    modules: dict[str, nn.Module] = {'ours': ours}
    missing = {}
    try:
        from timm.models import VisionTransformer
    except ImportError as error:
        missing['timm'] = f'{error}'
    else:
        theirs = VisionTransformer(
            img_size=pixels,
            patch_size=patch,
            embed_dim=dims,
            depth=depth,
            num_heads=heads,
            num_classes=0,
            no_embed_class=True,
            init_values=1e-6,
        )
        ours.load_state_dict(theirs.state_dict())
        modules['timm'] = theirs
    local = min(10, depth - 1)
    modules['convit'] = MODELS.build(
        dict(type='mmpretrain.ConViT', num_local_layers=local, **common)
    )
    images = torch.randn(batch, 3, pixels, pixels)
    sides = {}
    for name, module in modules.items():
        call = onnx_call(module, images, setting)
        limit = name == 'convit'
        sides[name] = Side(call, None if limit else call, None, LIMIT if limit else '')
    name = _name(dims, depth, heads, pixels, patch, batch)
    return Comparison(name, sides, TOLERANCE, {}, batch, missing)


def onnx_call(module: nn.Module, images: Tensor, setting: Setting) -> Callable[[], list[Tensor]]:
    """Export a module with a free batch size, and return a call that runs the file on images.

    Args:
        module: Maps images to a tensor, or to a tuple of one.
        images: The images to run it on, (B, C, H, W).
        setting: The device and the number of threads.

    Raises:
        ValueError: If onnxruntime has no provider for the device.
    """
    import onnxruntime

    provider = 'CUDAExecutionProvider' if setting.is_cuda else 'CPUExecutionProvider'
    if provider not in onnxruntime.get_available_providers():
        raise ValueError(f'this onnxruntime has no {provider}: install onnxruntime-gpu')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = setting.threads
    options.log_severity_level = 3
    free = ({0: torch.export.Dim('batch', min=1)},)
    # with another batch size: a batch of 1 would become fixed
    example = torch.zeros(2, *images.shape[1:])
    with torch.no_grad(), TemporaryDirectory() as folder:
        program = torch.export.export(module.eval(), (example,), dynamic_shapes=free, strict=False)
        path = Path(folder, 'model.onnx')
        write_onnx(program, {'task': 'embed'}, path)
        session = onnxruntime.InferenceSession(path, options, providers=[provider])
    pixels = images.numpy()
    return lambda: [torch.from_numpy(y) for y in session.run(None, {'images': pixels})]
