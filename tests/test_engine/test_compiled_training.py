"""The host's ``compile`` in a training: the same weights, and nothing is compiled twice."""

import pytest
import torch
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS, MODELS
from mmpretrain.structures import DataSample
from torch._dynamo.utils import counters

from vit_plugins.structures import DataSampleBatch

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        torch.__version__.startswith('2.1.'),
        reason='torch 2.1 cannot compile the deprecation decorators of MMEngine',
    ),
]
GRAPHS = []


@HOOKS.register_module(force=True)
class CountGraphs(Hook):
    """Record the number of graphs after each step."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        GRAPHS.append(counters['stats']['unique_graphs'])


def test_a_compiled_training_ends_like_an_eager_one(toy, tmp_path):
    _, eager = toy.train(settings(toy, tmp_path / 'eager'))
    torch._dynamo.reset()
    counters.clear()
    GRAPHS.clear()
    compiled = settings(toy, tmp_path / 'compiled')
    compiled |= dict(
        compile=dict(backend='eager'),
        custom_hooks=[dict(type='CountGraphs'), dict(type='GroupedStepHook', on_cpu=True)],
    )
    _, found = toy.train(compiled)
    torch.testing.assert_close(found['state_dict'], eager['state_dict'], rtol=1e-4, atol=1e-5)
    assert GRAPHS[-1] > 0
    assert len(set(GRAPHS[2:])) == 1, GRAPHS


def settings(toy, folder):
    """Return batches of one size, in the columns of our loader, without Mixup.

    Compiled code gets numpy's random numbers from torch, so a mixed batch differs.
    """
    plain = {key: value for key, value in toy.CLASSIFIER.items() if key != 'train_cfg'}
    found = toy.settings(folder, model=plain)
    found['optim_wrapper']['paramwise_cfg'] = dict(flat_decay_mult=0.0)
    found['data_preprocessor']['type'] = 'StackedDataPreprocessor'
    found['train_dataloader'] |= dict(collate_fn=dict(type='stacked_collate'), drop_last=True)
    return found


@pytest.mark.parametrize('kind', ['ClsDataPreprocessor', 'StackedDataPreprocessor'])
def test_mixed_labels_outlive_compiled_code(kind):
    settings = dict(type=kind, num_classes=4, mean=[127] * 3, std=[60] * 3)
    mixup = dict(augments=[dict(type='Mixup', alpha=0.8)])
    preprocessor = MODELS.build(dict(batch_augments=mixup, **settings))
    samples = [DataSample(metainfo=dict(img_shape=(8, 8))).set_gt_label(i) for i in range(4)]
    batch = DataSampleBatch.from_samples(samples)
    torch._dynamo.reset()
    images = torch.randint(0, 255, (4, 3, 8, 8), dtype=torch.uint8)
    data = torch.compile(preprocessor, backend='eager')(
        dict(inputs=images, data_samples=batch), True
    )
    for sample in data['data_samples']:
        assert sample.gt_score.sum().item() == pytest.approx(1)
