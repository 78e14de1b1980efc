"""Errors for removed recipes name the replacement."""

from pathlib import Path

import pytest

from vit_plugins.command_line.gone import replacement
from vit_plugins.config_edits.dataset_by_name import apply_data
from vit_plugins.config_edits.reading import read_config_file
from vit_plugins.resources import resource_root

GONE = {
    'configs/drloc/svhn/swin-tiny-drloc_8xb128-100e_svhn.py': (
        'configs/drloc/swin-tiny-drloc_8xb128-100e.py --data svhn'
    ),
    'drloc/domainnet-real/t2t-vit-14-drloc_in1k-pre_8xb128-100e_domainnet-real.py': (
        'configs/drloc/t2t-vit-14-drloc_in1k-pre_8xb128-100e.py --data domainnet-real'
    ),
    'cvt-13-drloc-official_8xb128-100e_flowers102': (
        'configs/drloc/cvt-13-drloc-official_8xb128-100e.py --data flowers102'
    ),
    'deit3-small-p16_in1k-pre_8xb96-1000e_stanford-cars.py': (
        'configs/deit3/deit3-small-p16_in1k-pre_8xb96-1000e.py --data stanford-cars'
    ),
    'vit/vit-large-p16_in21k-pre_8xb64-10k_cifar10-384px.py': (
        'configs/vit/vit-large-p16_in21k-pre_8xb64-10k-384px.py --data cifar10'
    ),
    'configs/convit/deit-small_8xb128-6000e_in1k-5pct.py': (
        'configs/convit/deit-small_8xb128_in1k.py --fraction 0.05'
    ),
    'configs/convit/convit-small_8xb128-1000e_in1k-30pct.py': (
        'configs/convit/convit-small_8xb128_in1k.py --fraction 0.3'
    ),
    'configs/small_data_best.py': 'configs/small_data/small_data_best.py',
    'configs/small_data_best_tenth.yaml': 'configs/small_data/small_data_best_tenth.yaml',
}


@pytest.mark.parametrize('name', GONE)
def test_a_file_that_is_gone(name):
    assert replacement(name) == GONE[name]
    recipe, *options = GONE[name].split()
    assert (resource_root() / recipe).is_file()
    if name.endswith('.py'):
        with pytest.raises(FileNotFoundError, match=f'is gone: use {GONE[name]}$'):
            read_config_file(name)
    if options[:1] == ['--data']:
        cfg = read_config_file(resource_root() / recipe)
        assert apply_data(cfg, options[1]).train_dataloader.dataset.type


def test_a_config_that_stands_on_a_file_that_is_gone(tmp_path):
    mine = tmp_path / 'mine.py'
    mine.write_text("_base_ = './drloc/svhn/swin-tiny_8xb128-100e_svhn.py'")
    told = r'swin-tiny_8xb128-100e.py --data svhn \(in _base_ the recipe, and --data svhn on the'
    with pytest.raises(FileNotFoundError, match=told):
        read_config_file(mine)


def test_files_that_never_were_and_files_that_are():
    assert replacement('configs/drloc/nothing.py') is None
    with pytest.raises(FileNotFoundError, match=r'there is no config file nothing\.py'):
        read_config_file('nothing.py')
    for file in (resource_root() / 'configs').rglob('*.py'):
        assert replacement(file) is None or not Path(file).is_file()


def test_a_config_that_was_cut_off_is_told_in_words(tmp_path):
    """As on a full disk, or in the midst of a copy."""
    (tmp_path / 'cut.py').write_text("model = dict(\n    type='Imag")
    with pytest.raises(ValueError, match=r'cut\.py is no whole config: line 2, unterminated'):
        read_config_file(tmp_path / 'cut.py')
    (tmp_path / 'whole.py').write_text("_base_ = './cut.py'\n")
    with pytest.raises(ValueError, match=r'a file that .*whole\.py names in _base_ is no whole'):
        read_config_file(tmp_path / 'whole.py')
