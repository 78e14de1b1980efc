"""Missing weights that a recipe names, and their origin."""

from pathlib import Path

import pytest
from mmengine.config import Config

from vit_plugins.config_edits.recipe_weights import pretrained_parts
from vit_plugins.recipes.finding import config_files
from vit_plugins.resources import resource_root
from vit_plugins.weights.origins import by_hand, origin_of


def test_a_recipe_and_its_authors():
    told = origin_of('work_dirs/deit3-small-p16_8xb256-800e_in1k/epoch_800.pth')
    assert told.splitlines() == [
        '  train it: vit-plugins train configs/deit3/deit3-small-p16_8xb256-800e_in1k.py',
        "  get its authors': https://download.openmmlab.com/mmclassification/v0/deit3/"
        'deit3-small-p16_3rdparty_in1k_20221008-0f7c70cf.pth',
    ]


def test_files_that_are_converted_first():
    told = origin_of('pretrained/t2t-vit-14.pth')
    assert (
        '81.5_T2T_ViT_14.pth.tar, then vit-plugins convert_checkpoint '
        '81.5_T2T_ViT_14.pth.tar pretrained/t2t-vit-14.pth --arch t2t (BSD-3-Clause-Clear)\n'
    ) in told
    assert told.endswith('without it: configs/drloc/t2t-vit-14_8xb128-100e.py trains from scratch')
    told = origin_of('work_dirs/vit-large-p32_64xb64-90e_in21k/iter_311948.pth')
    assert 'train configs/vit/vit-large-p32_64xb64-90e_in21k.py' in told
    assert 'imagenet21k/ViT-L_32.npz, then' in told


def test_each_file_to_fetch_is_named_by_a_recipe_and_says_all():
    texts = [file.read_text() for file in (resource_root() / 'configs').rglob('*.py')]
    for name, facts in by_hand().items():
        assert any(name in text for text in texts)
        assert facts['address']
        assert facts['licence']
        assert facts['without']
        assert facts['sha256'] is None or len(facts['sha256']) == 64


def test_a_file_of_no_recipe():
    told = '  no recipe of vit_plugins makes it, and no address of it is known'
    assert origin_of('mine/weights.pth') == told


@pytest.mark.slow
def test_every_file_that_a_recipe_names_has_an_origin():
    named = set()
    for file in config_files():
        if file.suffix == '.py' and 'mmseg' not in file.parts:
            cfg = Config.fromfile(resource_root() / 'configs' / file)
            nodes = pretrained_parts(cfg.get('model'))
            named |= {cfg.get('load_from'), *(node['checkpoint'] for node in nodes)}
    local = {name for name in named if name and '://' not in name}
    assert len(local) > 15
    for name in local:
        assert 'no recipe of' not in origin_of(name)
        assert not Path(name).exists()
