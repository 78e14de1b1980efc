"""Exported files give the outputs of the trained model, or they are removed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.utils import digit_version
from mmpretrain.registry import MODELS
from PIL import Image

from vit_plugins.inference import deployed, export, export_check, export_formats
from vit_plugins.inference.deployable import load_deployable
from vit_plugins.inference.export import ExportError, export_model
from vit_plugins.inference.sample_photos import photos_to_check
from vit_plugins.resources import package_version

ROOT = Path(__file__).parents[2]
needs_export = pytest.mark.skipif(
    digit_version(torch.__version__) < digit_version(export.OLDEST_TORCH),
    reason='old torch leaves no size of a host transformer free',
)


@pytest.fixture(scope='module')
def trained(tmp_path_factory, config, drloc_classifier):
    """Return a config of digits and a checkpoint of weights that affect the outputs."""
    cfg = config()
    cfg.model = drloc_classifier
    torch.manual_seed(0)
    model = MODELS.build({**cfg.model, 'data_preprocessor': cfg.data_preprocessor})
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    path = tmp_path_factory.mktemp('trained') / 'epoch_1.pth'
    meta = {'dataset_meta': {'classes': tuple('0123456789')}}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, path)
    return cfg, path


@pytest.fixture(scope='module')
def deployable(trained):
    return load_deployable(*trained, dynamic_size=True)


@pytest.fixture(scope='module')
def photos(trained):
    with photos_to_check(trained[0], None, 4) as (photos, source):
        assert source == '4 images of the test set'
        yield photos


def check(exported, tolerance=1e-4):
    assert exported.path.is_file()
    assert exported.tolerance == tolerance
    assert exported.difference <= tolerance
    assert exported.with_photos
    assert not list(exported.path.parent.glob('part-*'))


def test_safetensors(deployable, photos, tmp_path):
    open_file = pytest.importorskip('safetensors').safe_open
    path = tmp_path / 'model.safetensors'
    exported = export_model(deployable, 'safetensors', path, photos)
    check(exported)
    with open_file(path, 'pt') as file:
        names, metadata = list(file.keys()), file.metadata()
    assert not [name for name in names if 'drloc' in name or 'cls_head' in name]
    assert json.loads(metadata['classes']) == list('0123456789')
    assert metadata['vit_plugins']


@pytest.mark.slow
@needs_export
def test_torch_with_free_sizes(deployable, photos, tmp_path):
    exported = export_model(deployable, 'torch', tmp_path / 'm.pt2', photos, dynamic_size=True)
    check(exported)
    assert exported.least_size == (9, 9)
    extra = {export_formats.METADATA_FILE: ''}
    program = torch.export.load(tmp_path / 'm.pt2', extra_files=extra).module()
    assert json.loads(extra[export_formats.METADATA_FILE])['task'] == 'classify'
    images = torch.randn(5, 3, 41, 12)
    with torch.no_grad():
        (scores,) = program(images)
        samples = deployable.trained.model.predict(images)
    torch.testing.assert_close(scores, torch.stack([s.pred_score for s in samples]))


@needs_export
@pytest.mark.parametrize('form', [pytest.param('torch', marks=pytest.mark.slow), 'safetensors'])
def test_half(trained, photos, tmp_path, form):
    if form == 'safetensors':
        pytest.importorskip('safetensors')
    path = tmp_path / f'half{export_formats.SUFFIXES[form]}'
    exported = export_model(load_deployable(*trained, half=True), form, path, photos)
    check(exported, tolerance=1e-2)
    assert exported.difference > 0


def test_a_file_that_differs_is_not_left(deployable, photos, tmp_path, monkeypatch):
    pytest.importorskip('safetensors')
    found = {**deployable.metadata, 'vit_plugins': package_version()}
    for told, message in (
        (deployable.metadata, 'does not hold the metadata'),
        (found, r'file was removed: on .*\.png its outputs differ by'),
    ):
        opened = (lambda images: [np.zeros((len(images), 10), 'f4')], told)
        monkeypatch.setitem(export_formats.OPENERS, 'safetensors', lambda *args, o=opened: o)
        with pytest.raises(ExportError, match=message):
            export_model(deployable, 'safetensors', tmp_path / 'm.safetensors', photos)
    assert list(tmp_path.iterdir()) == []


def test_preprocessing_takes_part_in_the_check(deployable, photos):
    wrong = deployable.metadata | {'mean': '[90.0, 100.0, 100.0]'}

    def runner(images):
        return export_check.trained_outputs(deployable, torch.from_numpy(images))

    sizes, tolerance = [(24, 31)], 1e-4
    arguments = (photos, sizes, tolerance)
    assert export_check.check_outputs(deployable, runner, deployable.metadata, *arguments) < 1e-5
    with pytest.raises(ExportError, match='outputs differ by'):
        export_check.check_outputs(deployable, runner, wrong, *arguments)
    with pytest.raises(ExportError, match=r'cannot be run on .*: unknown'):
        export_check.check_outputs(deployable, _broken, wrong, *arguments)


def _broken(images):
    raise RuntimeError('unknown\nand more')


@needs_export
def test_a_network_that_fixes_its_size_is_refused_in_words(deployable, tmp_path, monkeypatch):
    def embed(self, x):
        assert x.shape[2] % 8 == 0
        return type(self).embed(self, x)

    backbone = deployable.network.backbone
    monkeypatch.setattr(backbone, 'embed', embed.__get__(backbone))
    with pytest.raises(ExportError, match='ConViT cannot be exported with height and width free'):
        export_model(deployable, 'torch', tmp_path / 'm.pt2', [], dynamic_size=True)


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    with pytest.raises(ExportError, match=r'onnxscript.*pip install "vit-plugins\[export\]"'):
        export.require_packages('onnx')


def test_old_torch_is_refused(monkeypatch):
    monkeypatch.setattr(export.torch, '__version__', '2.4.0')
    with pytest.raises(ExportError, match=r'needs torch 2\.6 or newer, this is 2\.4\.0'):
        export.require_packages('torch')


def test_generated_images_are_said_to_be_so(config):
    cfg = config()
    cfg.test_dataloader.dataset = dict(type='CustomDataset', data_root='/gone', pipeline=[])
    with photos_to_check(cfg, None) as (photos, source):
        assert len({Image.open(photo).size for photo in photos}) == 4
    assert "4 generated images (the run's test images are not there" in source
    with pytest.raises(ValueError, match='names no image'), photos_to_check(cfg, []):
        pass


def test_difference_of_other_shapes_is_infinite():
    assert export_check.largest_difference([np.zeros(3)], [np.zeros(4)]) == float('inf')
    assert not export_check.largest_difference([np.full(3, np.nan)], [np.zeros(3)]) <= 1


def test_the_document_holds_the_program():
    text = (ROOT / 'docs/deploy.md').read_text(encoding='utf-8')
    assert Path(deployed.__file__).read_text(encoding='utf-8') in text


@pytest.fixture(scope='module')
def onnx_file(deployable, photos, tmp_path_factory):
    for name in export.NEEDED['onnx']:
        pytest.importorskip(name)
    path = tmp_path_factory.mktemp('onnx') / 'model.onnx'
    check(export_model(deployable, 'onnx', path, photos, dynamic_size=True))
    return path


@pytest.mark.slow
def test_onnx_holds_its_metadata_and_no_paths(onnx_file):
    onnx = pytest.importorskip('onnx')
    model = onnx.load(onnx_file)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata['classes']) == list('0123456789')
    assert [d.dim_param for d in model.graph.input[0].type.tensor_type.shape.dim][1] == ''
    assert str(ROOT).encode() not in onnx_file.read_bytes()


@pytest.mark.slow
def test_the_program_runs_beside_the_file(onnx_file, deployable, photos):
    program = onnx_file.with_name(export.PROGRAM)
    done = subprocess.run(
        [sys.executable, '-I', str(program), str(onnx_file), *photos],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(photos)
    for photo, line in zip(photos, lines, strict=True):
        (sample,) = deployable.trained.model.predict(export_check.photo_input(deployable, photo))
        best = int(sample.pred_score.argmax())
        assert line.startswith(f'{photo}: {best} {100 * sample.pred_score[best]:.1f} %')


def test_the_program_imports_three_packages_alone():
    source = Path(deployed.__file__).read_text(encoding='utf-8')
    lines = [line.split() for line in source.splitlines()]
    found = {words[1] for words in lines if words[:1] in (['import'], ['from'])}
    assert found == {'json', 'sys', 'numpy', 'PIL', 'onnxruntime'}


@pytest.mark.slow
def test_onnx_of_any_batch_and_size(onnx_file, deployable):
    session = pytest.importorskip('onnxruntime').InferenceSession(str(onnx_file))
    for shape in [(1, 3, 16, 16), (5, 3, 41, 12), (2, 3, 9, 70)]:
        images = torch.randn(shape)
        expected = export_check.trained_outputs(deployable, images)
        found = session.run(None, {'images': images.numpy()})
        assert export_check.largest_difference(found, expected) < 1e-5
