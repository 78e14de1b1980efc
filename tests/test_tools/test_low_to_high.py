"""Pre-training at a low resolution, fine-tuning at a high one: the recipes on digits."""

from pathlib import Path

import pytest
import torch
from mmengine.runner import load_state_dict, save_checkpoint
from mmpretrain.models.utils import resize_pos_embed
from mmpretrain.registry import MODELS

from vit_plugins.command_line.commands import train as train_command
from vit_plugins.engine.launch import TRAINED_ANEW, build_runner

FOLDER = Path(__file__).parents[2] / 'configs' / 'deit3'
LOW = str(FOLDER / 'deit3-dim64-p4_1xb64-30e_digits-16px.py')
HIGH = str(FOLDER / 'deit3-dim64-p4_ft-1xb64-5e_digits-24px.py')
SAVED = 'work_dirs/deit3-dim64-p4_1xb64-30e_digits-16px/epoch_30.pth'


def low_model(train_tool, classes=10):
    cfg = train_command.complete_config(train_tool.parse_args([LOW]))
    cfg.model.head.num_classes = classes
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model


def loaded(train_tool, low):
    """Build the model of the high recipe from another one, as it is before the first step."""
    Path(SAVED).parent.mkdir(parents=True)
    save_checkpoint(dict(state_dict=low.state_dict()), SAVED)
    cfg = train_command.complete_config(train_tool.parse_args([HIGH]))
    assert cfg.load_from == SAVED
    runner = build_runner(cfg, TRAINED_ANEW)
    runner.load_or_resume()
    return runner.model.cpu()


@pytest.mark.slow
def test_position_embedding_is_resized_and_all_else_kept(train_tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    low = low_model(train_tool)
    high = loaded(train_tool, low).state_dict()
    expected = low.state_dict()
    grown = resize_pos_embed(expected.pop('backbone.pos_embed'), (4, 4), (6, 6), 'bicubic', 0)
    torch.testing.assert_close(high.pop('backbone.pos_embed'), grown)
    torch.testing.assert_close(dict(high), dict(expected), rtol=0, atol=0)


def test_classifier_of_other_classes_starts_anew(train_tool, tmp_path, monkeypatch):
    """For example from ImageNet-21k to ImageNet-1k."""
    monkeypatch.chdir(tmp_path)
    low = low_model(train_tool, classes=21)
    high = loaded(train_tool, low)
    assert high.head.layers.head.weight.shape == (10, 64)
    ours, theirs = high.backbone.layers.state_dict(), low.backbone.layers.state_dict()
    torch.testing.assert_close(dict(ours), dict(theirs), rtol=0, atol=0)
    with pytest.raises(RuntimeError, match='size mismatch for head'):  # the test above can fail
        load_state_dict(high, low.state_dict(), strict=True)


@pytest.mark.slow
def test_accuracy_is_carried_over(train_tool, test_tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train_tool.main([LOW])
    low = test_tool.main([LOW, SAVED])['accuracy/top1']
    before = test_tool.main([HIGH, SAVED])['accuracy/top1']
    train_tool.main([HIGH])
    after = test_tool.main([HIGH, str(Path('work_dirs', Path(HIGH).stem, 'epoch_5.pth'))])
    assert low > 93
    assert before > low - 4
    assert after['accuracy/top1'] > low - 1
