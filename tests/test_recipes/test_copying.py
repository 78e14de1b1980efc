"""Copies of recipes: with their base files, or as one file."""

import subprocess
import sys
from pathlib import Path

import pytest
from mmengine import Config

from vit_plugins.recipes.copying import copy_config, write_literal
from vit_plugins.recipes.finding import config_files
from vit_plugins.resources import resource_root
from vit_plugins.studies.study_file import load_study_file


@pytest.mark.parametrize('config', config_files(), ids=str)
def test_copied_config_is_the_same_config(config, tmp_path):
    copied = copy_config(str(config), tmp_path)
    assert copied == tmp_path / config
    original = resource_root() / 'configs' / config
    if config.suffix == '.yaml' and 'axes:' not in original.read_text():  # no grid of trainings
        assert copied.read_bytes() == original.read_bytes()
    elif config.suffix == '.yaml':
        study = load_study_file(copied)
        study['base'] = str(
            resource_root() / 'configs' / Path(study['base']).relative_to(tmp_path)
        )
        assert study == load_study_file(original)
    else:
        Config.fromfile(copied)  # all that it stands on is there, and is the same:
        for file in tmp_path.rglob('*.py'):
            there = resource_root() / 'configs' / file.relative_to(tmp_path)
            assert file.read_bytes() == there.read_bytes()


@pytest.mark.slow
def test_a_literal_copy_with_other_data(tmp_path):
    file = write_literal('resnet50-drloc_8xb128-100e', tmp_path, 'svhn')
    assert file == tmp_path / 'resnet50-drloc_8xb128-100e_svhn.py'
    text = file.read_text()
    assert text.startswith('# configs/drloc/resnet50-drloc_8xb128-100e.py --data svhn, written')
    assert '_base_' not in text
    cfg = Config.fromfile(file)
    assert cfg.train_dataloader.dataset.type == 'SVHN'
    assert cfg.model.head.head.num_classes == 10
    assert write_literal('resnet50-drloc_8xb128-100e', tmp_path, 'svhn') == file  # the same
    file.write_text('# mine')
    with pytest.raises(FileExistsError, match='--force replaces it'):
        write_literal('resnet50-drloc_8xb128-100e', tmp_path, 'svhn')
    write_literal('resnet50-drloc_8xb128-100e', tmp_path, 'svhn', force=True)
    assert file.read_text() == text


def test_a_literal_copy_with_a_part_of_the_images(tmp_path):
    file = write_literal('convit-small_8xb128_in1k', tmp_path, fraction=0.05)
    assert file.name == 'convit-small_8xb128_in1k-5pct.py'
    assert Config.fromfile(file).train_cfg.max_epochs == 6000
    with pytest.raises(ValueError, match='is a study, which takes data: NAME in its file'):
        write_literal('convit_vs_vit_digits', tmp_path, 'svhn')


@pytest.mark.slow
def test_the_hosts_own_runner_builds_a_literal_copy(tmp_path):
    """In a process that has not imported vit_plugins, because the file imports it."""
    file = write_literal('convit-small-drloc_8xb128-100e', tmp_path, 'svhn')
    code = (
        'import sys; from mmengine.config import Config; from mmengine.runner import Runner; '
        f'cfg = Config.fromfile({str(file)!r}); cfg.work_dir = {str(tmp_path / "w")!r}; '
        'print(type(Runner.from_cfg(cfg).model.head).__name__)'
    )
    ran = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert ran.stdout.split()[-1] == 'DRLocHead'
