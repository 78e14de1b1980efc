"""The memory of a training step, forecast from a few images."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from torch import nn

from vit_plugins.engine.memory_forecast import activation_bytes, kept_bytes, step_bytes
from vit_plugins.host.process_memory import peak_memory
from vit_plugins.models.backbones.convit import ConViT

ARCH = dict(embed_dims=32, num_layers=2, num_heads=4, feedforward_channels=64)


@pytest.fixture
def backbone():
    return ConViT(ARCH, img_size=32, patch_size=8, num_local_layers=1)


def test_a_few_images_tell_what_a_forward_pass_of_many_keeps(backbone):
    expected = kept_bytes(lambda: backbone(torch.rand(16, 3, 32, 32)), backbone)
    state = torch.get_rng_state()
    assert activation_bytes(backbone, 32, 32, 16) == pytest.approx(expected, rel=1e-3)
    assert torch.equal(torch.get_rng_state(), state)
    norm = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    activation_bytes(norm, 8, 8, 2)
    assert not norm[1].running_mean.any()


def test_a_step_takes_weights_gradients_averages_and_activations(backbone):
    model = nn.Module()
    model.backbone = backbone
    runner = SimpleNamespace(
        model=model,
        train_dataloader=SimpleNamespace(batch_size=5),
        cfg=Config(dict(model=dict(backbone=dict(img_size=32)))),
    )
    weights = sum(p.numel() for p in backbone.parameters()) * 4
    trained = sum(p.numel() for p in backbone.parameters() if p.requires_grad) * 4
    kept = activation_bytes(backbone, 32, 32, 5)
    assert step_bytes(runner) == weights + 3 * trained + kept
    backbone.requires_grad_(False)
    assert step_bytes(runner) is None


@pytest.mark.slow
def test_peak_memory_grows():
    before = peak_memory()
    if before is None:
        pytest.skip('this system does not say')
    kept = torch.ones(2**24 + before // 4)  # more than was ever there
    assert peak_memory() - before >= 2**26 - 2**22
    del kept
