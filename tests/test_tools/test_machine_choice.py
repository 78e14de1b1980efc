"""Image size and width that follow from the speed of the machine."""

from pathlib import Path

import pytest
from mmengine.config import Config
from PIL import Image

from vit_plugins.command_line.commands import machine_choice
from vit_plugins.command_line.commands import train as train_command

RECIPE = Config.fromfile(Path(__file__).parents[2] / 'configs' / 'photos-scratch.py')
STEPS = [(step['size'], step['width']) for step in RECIPE.machine_steps.steps]
SMALLEST, LARGEST = STEPS[0], STEPS[-1]


@pytest.fixture
def completed(train_tool, tmp_path, monkeypatch):
    """Complete a config, with a machine that takes a second for each pixel of width in a step."""
    for label, number in (('cat', 5), ('dog', 10)):
        (tmp_path / 'photos' / label).mkdir(parents=True)
        for i in range(number):
            Image.new('RGB', (8, 8)).save(tmp_path / 'photos' / label / f'{i}.png')

    def complete(*words, seconds_per_width=1e-3):
        def seconds_of_step(cfg, batch_size):
            return seconds_per_width * cfg.model.backbone.arch.embed_dims[0]

        monkeypatch.setattr(machine_choice, 'seconds_of_step', seconds_of_step)
        data = ['--data-root', str(tmp_path / 'photos'), '--work-dir', str(tmp_path / 'w')]
        return train_command.complete_config(
            train_tool.parse_args(['photos-scratch', *data, '--no-verify', *words])
        )

    return complete


def size_and_width(cfg):
    stored = cfg.train_dataloader.dataset.dataset.pipeline[1].scale[0]
    side = cfg.data_preprocessor.batch_transforms[0].scale
    assert stored == side * 5 // 4
    assert cfg.test_dataloader.dataset.pipeline[1].scale == (side, side)
    assert cfg.model.head.in_channels == cfg.model.backbone.arch.embed_dims[-1]
    return side, cfg.model.backbone.arch.embed_dims[0]


def test_a_fast_machine_gets_larger_images(completed, capsys):
    assert size_and_width(completed(seconds_per_width=1e-6)) == LARGEST
    assert size_and_width(completed(seconds_per_width=1e3)) == SMALLEST
    out = ''.join(capsys.readouterr())
    assert 'Chosen for this machine: size' in out
    assert out.count('2 classes in') == 2  # once for each training


@pytest.mark.parametrize(
    ('words', 'expected'),
    [
        (['--epochs', '5'], SMALLEST),  # the same on any machine
        (['--img-size', '48'], (48, SMALLEST[1])),
        (['--cfg-options', 'width=16'], (SMALLEST[0], 16)),
    ],
)
def test_what_somebody_names_stays(completed, words, expected):
    cfg = completed(*words, seconds_per_width=1e-6)
    assert size_and_width(cfg) == expected
    assert 'machine_steps' not in cfg
    hooks = [hook.type for hook in cfg.get('custom_hooks', [])]
    assert hooks == ([] if '--epochs' in words else ['TimeBudgetHook'])


def test_a_run_that_is_gone_on_with_keeps_its_size(completed, tmp_path):
    cfg = completed(seconds_per_width=1e-6)
    (tmp_path / 'w').mkdir()
    cfg.dump(tmp_path / 'w' / 'photos-scratch.py')
    for words in ([], ['--epochs', '7']):
        begun = completed('--resume', *words, seconds_per_width=1e3)
        assert size_and_width(begun) == LARGEST
    assert machine_choice.options_of_run(tmp_path / 'elsewhere', ['size']) is None
