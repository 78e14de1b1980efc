"""Which backbone can be exported how: the table of docs/deploy.md, from a run.

python -m pytest -m slow -n 0 -s tests/test_inference/test_export_parity.py prints it.
"""

from functools import cache
from pathlib import Path

import pytest
import torch
from mmpretrain.registry import MODELS
from small_backbones import SETTINGS, WIDTHS

from vit_plugins.inference import export, export_formats
from vit_plugins.inference.deployable import load_deployable
from vit_plugins.inference.sample_photos import photos_to_check
from vit_plugins.weights.torch_allow_list import RESTRICTED

pytestmark = pytest.mark.slow
DOCUMENT = Path(__file__).parents[2] / 'docs/deploy.md'
HEAD = '| backbone | format | free batch | free height and width |\n|---|---|---|---|'
VIT = dict(arch=SETTINGS['DeiT3ViT']['arch'], img_size=32, patch_size=8)
BACKBONES = {
    **{name: dict(type=name, **settings) for name, settings in SETTINGS.items()},
    'VisionTransformer (host)': dict(type='VisionTransformer', **VIT),
    'ResNet (host)': dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
}
DIMS = {**WIDTHS, 'ResNet (host)': 64}
GAP = dict(type='GlobalAveragePooling')


@pytest.fixture(scope='module')
def exportable(config, tmp_path_factory):
    """Build the exportable model of a backbone's name."""
    folder = tmp_path_factory.mktemp('parity')

    @cache
    def build(name):
        cfg, size = config(), 48
        head = dict(type='LinearClsHead', num_classes=10, in_channels=DIMS.get(name, 32))
        cfg.model = dict(type='ImageClassifier', backbone=BACKBONES[name], head=head)
        if name.startswith('ResNet'):
            cfg.model.neck = GAP
        cfg.test_dataloader.dataset.pipeline[0].scale = size
        torch.manual_seed(0)
        model = MODELS.build({**cfg.model, 'data_preprocessor': cfg.data_preprocessor})
        path = folder / f'{name}.pth'
        torch.save({'state_dict': model.state_dict()}, path)
        return load_deployable(cfg, path), cfg

    return build


def can(deployable, photos, form, dynamic, folder):
    """Return 'yes', or 'no' where the export is refused or its outputs differ."""
    path = folder / f'model{export_formats.SUFFIXES[form]}'
    try:
        export.export_model(deployable, form, path, photos, dynamic_size=dynamic)
    except export.ExportError as error:
        print(f'{form} dynamic={dynamic}: {error}')
        return 'no'
    return 'yes'


@pytest.mark.parametrize('form', ['onnx', 'torch'])
@pytest.mark.parametrize('name', BACKBONES)
def test_row_of_the_document(name, form, exportable, tmp_path):
    for package in export.NEEDED.get(form, ()):
        pytest.importorskip(package)
    if form == 'torch' and not RESTRICTED:
        pytest.skip('--format torch needs torch 2.6')
    deployable, cfg = exportable(name)
    with photos_to_check(cfg, None, 3) as (photos, _):
        size = can(deployable, photos, form, True, tmp_path)
        batch = 'yes' if size == 'yes' else can(deployable, photos, form, False, tmp_path)
    row = f'| {name} | {form} | {batch} | {size} |'
    print(f'\n{row}')
    assert row in DOCUMENT.read_text(encoding='utf-8').splitlines()
