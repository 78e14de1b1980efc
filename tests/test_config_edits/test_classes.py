import pytest
from mmengine.config import Config

from vit_plugins.config_edits.classes import set_balance, set_classes

LABEL_SMOOTH = {'type': 'LabelSmoothLoss', 'label_smooth_val': 0.1, 'num_classes': 1000}


def config(head=None, **kwargs):
    head = head or {'type': 'LinearClsHead', 'num_classes': 1000, 'in_channels': 4}
    return Config(
        {
            'model': {
                'type': 'ImageClassifier',
                'backbone': {'type': 'VGG', 'depth': 11},
                'head': head,
            },
            'data_preprocessor': {'num_classes': 1000},
            'train_dataloader': {'sampler': {'type': 'DefaultSampler', 'shuffle': True}},
            'val_evaluator': {'type': 'Accuracy', 'topk': (1, 5)},
            'test_evaluator': [{'type': 'Accuracy', 'topk': 5}, {'type': 'SingleLabelMetric'}],
            **kwargs,
        }
    )


def test_number_is_set_everywhere():
    inner = {'type': 'VisionTransformerClsHead', 'num_classes': 1000, 'loss': dict(LABEL_SMOOTH)}
    cfg = config({'type': 'DRLocHead', 'head': inner})
    cfg.model.backbone.num_classes = -1  # VGG without a classifier of its own
    cfg.model.train_cfg = {'augments': [{'type': 'BatchMixup', 'alpha': 0.8, 'num_classes': 1000}]}
    cfg.val_evaluator = [{'type': 'SingleLabelMetric', 'num_classes': 1000}]
    set_classes(cfg, ['a', 'b', 'c'])
    head = cfg.model.head.head
    assert (head.num_classes, head.loss.num_classes) == (3, 3)
    assert cfg.model.train_cfg.augments[0].num_classes == 3
    assert cfg.model.backbone.num_classes == -1
    assert cfg.data_preprocessor.num_classes == 3
    assert cfg.val_evaluator[0].num_classes == 3


def test_preprocessor_within_the_model_and_none():
    cfg = config()
    cfg.model.data_preprocessor = {'type': 'ClsDataPreprocessor', 'mean': [0, 0, 0]}
    set_classes(cfg, ['a', 'b'])
    assert cfg.model.data_preprocessor.num_classes == 2
    cfg = config(data_preprocessor=None)
    set_classes(cfg, ['a', 'b'])
    assert cfg.data_preprocessor.num_classes == 2


@pytest.mark.parametrize(('count', 'topk'), [(2, (1,)), (5, (1,)), (6, (1, 5))])
def test_topk_that_is_always_100_is_dropped(count, topk):
    cfg = config()
    set_classes(cfg, 'abcdefgh'[:count])
    assert cfg.val_evaluator.topk == topk
    assert cfg.test_evaluator[0].topk == ((5,) if count > 5 else (1,))


def test_weights_of_other_classes_are_dropped():
    loss = {'type': 'CrossEntropyLoss', 'class_weight': [1.0] * 1000}
    cfg = config({'type': 'LinearClsHead', 'num_classes': 1000, 'loss': loss})
    set_classes(cfg, ['a', 'b'])
    assert cfg.model.head.loss.class_weight is None


def test_no_number_to_set():
    with pytest.raises(ValueError, match='no num_classes, so its head cannot be set to the 2'):
        set_classes(config({'type': 'ClsHead'}), ['a', 'b'])


@pytest.mark.parametrize('loss', [None, {'type': 'CrossEntropyLoss'}, LABEL_SMOOTH])
def test_loss_weights(loss):
    inner = {'type': 'LinearClsHead', 'num_classes': 2, **({'loss': dict(loss)} if loss else {})}
    cfg = config({'type': 'DRLocHead', 'head': inner})
    set_balance(cfg, 'loss', [30, 10])
    # each class weighs the same, and the mean over the images stays 1
    assert cfg.model.head.head.loss.class_weight == [pytest.approx(2 / 3, abs=1e-4), 2.0]
    assert 'loss' not in cfg.model.head


def test_sampler_and_nothing():
    cfg = config()
    before = cfg.to_dict()
    set_balance(cfg, 'none', [30, 10])
    assert cfg.to_dict() == before
    set_balance(cfg, 'sampler', [30, 10])
    assert cfg.train_dataloader.sampler.type == 'ClassBalancedSampler'


def test_refusals():
    with pytest.raises(ValueError, match="one of none, sampler, loss, got 'focal'"):
        set_balance(config(), 'focal', [1, 1])
    focal = config({'type': 'LinearClsHead', 'num_classes': 2, 'loss': {'type': 'FocalLoss'}})
    with pytest.raises(ValueError, match="has FocalLoss; balance='sampler' works"):
        set_balance(focal, 'loss', [1, 1])
