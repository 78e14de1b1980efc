import pytest
from mmengine.config import Config

from vit_plugins.config_edits.evaluation_part import complete_test_part, evaluation_loader

VAL = dict(val_dataloader=dict(batch_size=2), val_evaluator=dict(type='Accuracy'), val_cfg={})


def test_the_validation_stands_in_for_a_test():
    cfg = complete_test_part(Config({**VAL, 'test_dataloader': None}))
    assert evaluation_loader(cfg) == cfg.test_dataloader == cfg.val_dataloader
    assert cfg.test_dataloader is not cfg.val_dataloader
    assert (cfg.test_evaluator, cfg.test_cfg) == (VAL['val_evaluator'], {})


def test_a_loop_of_the_validation_alone_does_not_test():
    """FrozenFeatureValLoop scores features of the training loop, which a test does not have."""
    loop = dict(type='FrozenFeatureValLoop', fp16=True)
    assert complete_test_part(Config({**VAL, 'val_cfg': loop})).test_cfg == dict(fp16=True)


def test_a_test_part_stays():
    cfg = Config({**VAL, 'test_dataloader': dict(batch_size=9)})
    assert evaluation_loader(cfg).batch_size == 9
    assert complete_test_part(cfg).get('test_evaluator') is None


def test_neither_is_told():
    cfg = complete_test_part(Config(dict(train_dataloader=dict(batch_size=2))))
    assert 'test_dataloader' not in cfg
    with pytest.raises(ValueError, match='neither test_dataloader nor val_dataloader'):
        evaluation_loader(cfg)
