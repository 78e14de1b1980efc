"""The loader of trained models: matching files, others, and the device."""

import pytest
import torch

from vit_plugins.inference.loading import load_trained


def test_weights_of_another_head_fit_and_of_another_backbone_do_not(config, tmp_path):
    trained = load_trained(config(num_classes=3), None, 'cpu')[0]
    state = trained.state_dict()
    torch.save({'state_dict': state}, tmp_path / 'other_head.pth')
    model = load_trained(config(), tmp_path / 'other_head.pth', 'cpu', may_differ=('head.',))[0]
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, trained.backbone.state_dict()[name])
    bare = {k.removeprefix('backbone.'): v for k, v in state.items()}
    torch.save({'state_dict': bare}, tmp_path / 'bare.pth')
    with pytest.raises(ValueError, match=r'\d+ without weights in the file: backbone\.'):
        load_trained(config(), tmp_path / 'bare.pth', 'cpu', may_differ=('head.',))[0]
    wide = {k: v.repeat_interleave(2, -1) if v.dim() else v for k, v in state.items()}
    torch.save({'state_dict': wide}, tmp_path / 'wide.pth')
    told = r'of another shape: backbone\.cls_token \[1, 1, \d+\] in the file, \[1, 1, \d+\] in the'
    with pytest.raises(ValueError, match=told):
        load_trained(config(), tmp_path / 'wide.pth', 'cpu', may_differ=('head.',))[0]
    deep = {k.replace('layers.0', 'layers.9'): v for k, v in state.items()} | state
    torch.save({'state_dict': deep}, tmp_path / 'deep.pth')
    with pytest.raises(ValueError, match=r'in the file without a place: backbone\.layers\.9'):
        load_trained(config(), tmp_path / 'deep.pth', 'cpu', may_differ=('head.',))[0]


@pytest.mark.parametrize('device', ['foo', 'cuda:99', 'mps'])
def test_devices_that_are_none(config, device):
    with pytest.raises(ValueError, match=f"device '{device}' cannot be used: .*'cpu' is"):
        load_trained(config(), None, device)[0]


def test_a_checkpoint_tells_about_itself_and_leaves_random_numbers_alone(config, tmp_path):
    trained, nothing = load_trained(config(), None, 'cpu')
    assert nothing == {}
    content = {'state_dict': trained.state_dict(), 'meta': {'epoch': 3}}
    torch.save(content, tmp_path / 'epoch_3.pth')
    model, meta = load_trained(config(), tmp_path / 'epoch_3.pth', 'cpu')
    assert meta == {'epoch': 3}
    assert not model.training
    assert all(torch.equal(v, trained.state_dict()[k]) for k, v in model.state_dict().items())
    with pytest.raises(ValueError, match=r'epoch_3\.pth does not fit .*head\.'):
        load_trained(config(num_classes=3), tmp_path / 'epoch_3.pth', 'cpu')


def test_a_training_without_a_test_part_is_loaded(config):
    """As of a fold, whose config says None; the host looks for the classes of its test images."""
    cfg = config()
    cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None
    assert load_trained(cfg, None, 'cpu')[0] is not None
    assert 'test_dataloader' in cfg
