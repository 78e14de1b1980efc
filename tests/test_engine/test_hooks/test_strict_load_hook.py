from types import SimpleNamespace

import pytest
import torch
from torch import nn

from vit_plugins.engine.hooks.strict_load_hook import StrictLoadHook
from vit_plugins.weights.loading import CheckpointMismatchError


def runner(resume=False, classes=('cat', 'dog')):
    metainfo = {} if classes is None else {'classes': classes}
    return SimpleNamespace(
        model=nn.ModuleDict({'backbone': nn.Linear(2, 2), 'head': nn.Linear(2, 3)}),
        train_dataloader=SimpleNamespace(dataset=SimpleNamespace(metainfo=metainfo)),
        _resume=resume,
        _load_from='w/epoch_1.pth',
    )


def checkpoint(classes=('cat', 'dog'), **shapes):
    state = nn.ModuleDict({'backbone': nn.Linear(2, 2), 'head': nn.Linear(2, 3)}).state_dict()
    state.update({key.replace('__', '.'): torch.zeros(shape) for key, shape in shapes.items()})
    meta = {} if classes is None else {'dataset_meta': {'classes': classes}}
    return {'state_dict': state, 'meta': meta}


def test_what_fits_is_let_through():
    for resume in (True, False):
        StrictLoadHook().after_load_checkpoint(runner(resume), checkpoint())
    StrictLoadHook().after_load_checkpoint(runner(), checkpoint()['state_dict'])


def test_head_may_differ_from_load_from_only():
    hook, other = StrictLoadHook(['head.']), checkpoint(head__weight=(4, 2))
    hook.after_load_checkpoint(runner(), other)
    told = r'^w/epoch_1\.pth does not fit .* head\.weight \[4, 2\] in the file, \[3, 2\] in'
    with pytest.raises(CheckpointMismatchError, match=told):
        hook.after_load_checkpoint(runner(resume=True), other)
    with pytest.raises(CheckpointMismatchError, match=told):
        StrictLoadHook().after_load_checkpoint(runner(), other)


def test_pca_is_fitted_anew():
    StrictLoadHook().after_load_checkpoint(runner(), checkpoint(pca__mean=(2,)))


@pytest.mark.parametrize('classes', [('cat', 'dog', 'emu'), ('dog', 'cat')])
def test_resume_with_other_classes(classes):
    told = r'w/epoch_1\.pth was trained on other classes \(.*\)\. .*--pretrained w/epoch_1\.pth$'
    with pytest.raises(CheckpointMismatchError, match=told):
        StrictLoadHook().after_load_checkpoint(runner(True, classes), checkpoint())
    StrictLoadHook().after_load_checkpoint(runner(False, classes), checkpoint())


def test_one_string_is_no_list():
    with pytest.raises(TypeError, match=r"must be a list of names, got 'head\.'"):
        StrictLoadHook('head.')
