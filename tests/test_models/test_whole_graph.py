"""``torch.compile`` makes one graph of a classifier's loss, and keeps it from step to step."""

import copy

import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from small_backbones import SETTINGS, WIDTHS, classifier
from torch._dynamo.utils import counters

from vit_plugins.structures.data_sample_batch import DataSampleBatch

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        torch.__version__.startswith('2.1.'),
        reason='torch 2.1 cannot compile the deprecation decorators of MMEngine',
    ),
]
STEPS = 3


def with_drloc(name):
    """Build the small classifier of a name with the localization loss."""
    settings = copy.deepcopy(SETTINGS[name])
    head = dict(
        type='DRLocHead',
        in_channels=WIDTHS.get(name, 32),
        grid_size=4,
        num_pairs=4,
        hidden_dims=(8,),
        head=dict(type='VisionTransformerClsHead', num_classes=10, in_channels=32),
    )
    backbone = dict(type=name, **settings, out_type='raw')
    return MODELS.build(dict(type='ImageClassifier', backbone=backbone, head=head))


def batches(columns):
    """Yield a new batch for each step: a list of samples, or columns as our loader gives them."""
    for step in range(STEPS):
        images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(step))
        samples = [
            DataSample(metainfo=dict(img_shape=(32, 32), img_path=f'{step}_{i}')).set_gt_label(i)
            for i in range(2)
        ]
        yield images, DataSampleBatch.from_samples(samples) if columns else samples


def losses_and_gradients(model, loss, columns):
    """Return the losses of each step and the sum of the gradients."""
    found = []
    for step, (images, samples) in enumerate(batches(columns)):
        torch.manual_seed(step)
        losses = loss(images, samples, mode='loss')
        model.parse_losses(losses)[0].backward()
        found.append({name: value.detach() for name, value in losses.items()})
    return found, {name: p.grad for name, p in model.named_parameters() if p.requires_grad}


CASES = [
    *((name, classifier, 'eager', False) for name in SETTINGS),
    *((name, with_drloc, 'eager', True) for name in ('DeiT3ViT', 'HybridViT', 'PosEmbedViT')),
    ('ConViT', with_drloc, 'eager', False),
    ('ConViT', with_drloc, 'aot_eager', True),  # backward is a graph, too
]


@pytest.mark.parametrize(('name', 'build', 'backend', 'columns'), CASES)
def test_a_training_step_is_one_graph(name, build, backend, columns):
    torch.manual_seed(0)
    eager = build(name).train()
    model = copy.deepcopy(eager)
    expected = losses_and_gradients(eager, eager, columns)
    torch._dynamo.reset()
    counters.clear()
    compiled = torch.compile(model, backend=backend, fullgraph=True)  # a graph break is an error
    found = losses_and_gradients(model, compiled, columns)
    assert counters['stats']['unique_graphs'] == 1  # no step was compiled again
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
