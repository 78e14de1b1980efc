"""The retrieve tool: from a trained model and folders to ranked photos."""

import json
import os
import re
import time
from pathlib import Path

import faiss
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain import ModelHub
from mmpretrain.registry import MODELS
from PIL import Image

from vit_plugins.command_line.commands import retrieve as retrieve_command
from vit_plugins.fileio import progress_bar
from vit_plugins.inference.classify import Classifier
from vit_plugins.inference.gallery import Gallery
from vit_plugins.weights.download import cached_download

RECIPE = """
default_scope = 'mmpretrain'
custom_imports = dict(imports=['vit_plugins'])
model = dict(
    type='EmbeddingRetriever',
    backbone=dict(
        type='VisionTransformer', img_size=16, patch_size=8,
        arch=dict(embed_dims=32, num_layers=1, num_heads=2, feedforward_channels=32)),
    neck=dict(type='TokenPooling', mode='cls'))
data_preprocessor = dict(mean=[127] * 3, std=[60] * 3, to_rgb=True)
test_dataloader = dict(dataset=dict(
    type='RetrievalFolder', data_root='/gone',
    pipeline=[
        dict(type='LoadImageFromFile'), dict(type='Resize', scale=16), dict(type='PackInputs')]))
"""


@pytest.fixture
def retrieve(retrieve_tool):
    return retrieve_tool


@pytest.fixture
def work_dir(tmp_path):
    """Write config and checkpoint of a training, here with random weights."""
    folder = tmp_path / 'work'
    folder.mkdir()
    (folder / 'recipe.py').write_text(RECIPE)
    model = MODELS.build(Config.fromfile(folder / 'recipe.py').model)
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, folder / 'epoch_1.pth')
    return folder


@pytest.fixture
def photos(tmp_path):
    """Write eight photos twice; the second copy is a little brighter."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 240, (8, 4, 4, 3), np.uint8)
    for copy in range(2):
        folder = tmp_path / f'copy{copy}'
        folder.mkdir()
        for i, small in enumerate(pixels):
            image = Image.fromarray(small + np.uint8(10 * copy)).resize((40, 30))
            image.save(folder / f'{i}.png')
    return tmp_path / 'copy0', tmp_path / 'copy1'


@pytest.mark.parametrize('kind', ['exact', 'approximate'])
def test_each_photo_finds_its_copy(retrieve, work_dir, photos, tmp_path, capsys, kind):
    gallery, out = tmp_path / 'g', tmp_path / 'out'
    arguments = ['--work-dir', str(work_dir), '--kind', kind, '--batch-size', '3']
    assert retrieve.main(['index', str(gallery), str(photos[0]), *arguments]) == 0
    assert (
        f'{gallery}: 8 photos, 8 of them new; 0 were known, 0 skipped' in capsys.readouterr().out
    )
    query = ['query', str(gallery), str(photos[1]), '--out', str(out), '--top-k', '3']
    assert retrieve.main(query) == 0
    report = json.loads((out / 'results.json').read_text())
    assert report['photos'] == 8
    for answer in report['queries']:
        assert Path(answer['results'][0]['image']).name == Path(answer['image']).name
        similarities = [result['similarity'] for result in answer['results']]
        assert similarities == sorted(similarities, reverse=True)
    assert {'index.html', 'sheet_001.png', 'thumbnails'} <= {p.name for p in out.iterdir()}


def test_indexing_says_how_far_it_is(retrieve, work_dir, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(progress_bar, 'EVERY', 0)
    index = ['index', str(tmp_path / 'g'), str(photos[0]), '--work-dir', str(work_dir)]
    retrieve.main([*index, '--batch-size', '3'])
    told = re.findall(r'^Describing: (\d+)%, about \d+ s left$', capsys.readouterr().err, re.M)
    assert told == ['33', '67']


def test_adding_to_a_gallery_needs_no_model_named_and_skips_the_known(
    retrieve, work_dir, photos, tmp_path, capsys
):
    gallery = tmp_path / 'g'
    retrieve.main(['index', str(gallery), str(photos[0]), '--work-dir', str(work_dir)])
    capsys.readouterr()
    assert retrieve.main(['index', str(gallery), *map(str, photos)]) == 0
    assert '16 photos, 8 of them new; 8 were known' in capsys.readouterr().out
    image = photos[0] / '3.png'
    Image.new('RGB', (9, 9)).save(image)
    retrieve.main(['index', str(gallery), str(image)])
    told = capsys.readouterr()
    assert '16 photos, 0 of them new; 1 were known' in told.out
    assert '1 photo(s) changed since being indexed' in told.err
    assert f'for example {image}: --sync brings' in told.err


def test_unreadable_images_are_reported_and_skipped(retrieve, work_dir, photos, tmp_path, capsys):
    (photos[0] / '1.png').write_bytes((photos[0] / '1.png').read_bytes()[:40])
    (photos[1] / '1.png').write_text('no image')
    gallery, out = tmp_path / 'g', tmp_path / 'out'
    retrieve.main(['index', str(gallery), str(photos[0]), '--work-dir', str(work_dir)])
    told = capsys.readouterr()
    assert f'skipped, unreadable: {photos[0]}/1.png: ' in told.err
    assert '7 photos, 7 of them new; 0 were known, 1 skipped' in told.out
    query = ['query', str(gallery), str(photos[1]), '--out', str(out), '--top-k', '1']
    assert retrieve.main(query) == 0
    report = json.loads((out / 'results.json').read_text())
    assert [Path(bad['image']).name for bad in report['unreadable']] == ['1.png']
    assert len(report['queries']) == 7
    assert retrieve.main(['query', str(gallery), str(photos[1] / '1.png'), '--out', str(out)]) == 1


def test_what_is_left_out_is_said_and_odd_names_are_no_obstacle(
    retrieve, work_dir, photos, tmp_path, capsys
):
    folder = photos[0]
    (folder / 'IMG.HEIC').write_bytes(b'x')
    (folder / '@eaDir').mkdir()
    (folder / '@eaDir/thumb.jpg').write_bytes((folder / '2.png').read_bytes())
    (folder / '1.png').rename(folder / os.fsdecode(b'caf\xe9.png'))
    (folder / '0.png').rename(folder / '\x1b[2J.png')
    Image.new('RGBA', (9, 9), (9, 9, 9, 99)).save(folder / '3.png')
    gallery, out = tmp_path / 'g', tmp_path / 'out'
    retrieve.main(['index', str(gallery), str(folder), '--work-dir', str(work_dir)])
    told = capsys.readouterr()
    assert f'skipped in {folder}: 1 .heic, 1 @eaDir/; .heic are not read' in told.err
    assert f'1 image(s) with transparent parts: shown on white ({folder}/3.png)' in told.err
    assert '8 photos, 8 of them new' in told.out
    query = ['query', str(gallery), str(folder), '--out', str(out), '--top-k', '1']
    assert retrieve.main(query) == 0
    assert f'skipped in {folder}: 1 .heic' in capsys.readouterr().err
    report = json.loads((out / 'results.json').read_bytes().decode())
    assert os.path.exists(report['queries'][-1]['image'])
    assert r'caf\udce9.png' in (out / 'index.html').read_bytes().decode()


def test_output_folder_is_checked_before_any_work(retrieve, work_dir, photos, tmp_path):
    gallery = tmp_path / 'g'
    retrieve.main(['index', str(gallery), str(photos[0]), '--work-dir', str(work_dir)])
    (work_dir / 'epoch_1.pth').unlink()  # no work is possible
    (tmp_path / 'file').touch()
    with pytest.raises(SystemExit, match=r'(Not a directory|File exists).*/file'):
        retrieve.main(['query', str(gallery), str(photos[1]), '--out', str(tmp_path / 'file/x')])


def test_an_interrupted_run_keeps_what_it_did_and_is_gone_on_with(
    retrieve, work_dir, photos, tmp_path, monkeypatch
):
    describe = retrieve_command.describe

    def interrupted(*args):
        for i, item in enumerate(describe(*args)):
            if i == 5:
                raise KeyboardInterrupt
            yield item

    gallery = tmp_path / 'g'
    arguments = ['index', str(gallery), str(photos[0]), '--work-dir', str(work_dir)]
    monkeypatch.setattr(retrieve_command, 'describe', interrupted)
    with pytest.raises(KeyboardInterrupt):
        retrieve.main(arguments)
    assert len(Gallery.load(gallery).photos) == 5
    monkeypatch.setattr(retrieve_command, 'describe', describe)
    monkeypatch.setattr(time, 'monotonic', iter(range(0, 10_000, 301)).__next__)  # saves each time
    assert retrieve.main(arguments) == 0
    assert len({photo.path for photo in Gallery.load(gallery).photos}) == 8


def test_what_does_not_fit_is_refused(retrieve, work_dir, photos, tmp_path):
    gallery = str(tmp_path / 'g')
    index = ['index', gallery, str(photos[0])]
    with pytest.raises(
        SystemExit, match='a new gallery needs --work-dir, --pretrained, or --config and'
    ):
        retrieve.main(index)
    with pytest.raises(SystemExit, match='holds no gallery'):
        retrieve.main(['query', gallery, 'x.png', '--out', gallery])
    retrieve.main([*index, '--work-dir', str(work_dir)])
    with pytest.raises(SystemExit, match='is exact; make a new one for approximate'):
        retrieve.main([*index, '--kind', 'approximate'])
    other = tmp_path / 'other.py'
    other.write_text(RECIPE.replace('scale=16', 'scale=8'))
    with pytest.raises(SystemExit, match=r'was made with another config than .*other.py'):
        retrieve.main([*index, '--config', str(other)])
    assert retrieve.main([*index, '--config', str(work_dir / 'recipe.py')]) == 0
    checkpoint = work_dir / 'epoch_1.pth'
    moved = checkpoint.rename(tmp_path / 'moved.pth')
    query = ['query', gallery, str(photos[0] / '0.png'), '--out', str(tmp_path / 'out')]
    with pytest.raises(SystemExit, match=r'epoch_1.pth, the model of .*, is gone: --checkpoint'):
        retrieve.main(query)
    assert retrieve.main([*query, '--checkpoint', str(moved)]) == 0
    other = tmp_path / 'other.pth'
    state = torch.load(moved)
    state['state_dict']['backbone.ln1.weight'] += 1
    torch.save(state, other)
    with pytest.raises(SystemExit, match=r'is not the file that .* was made with'):
        retrieve.main([*query, '--checkpoint', str(other)])
    config = str(work_dir / 'recipe.py')
    with pytest.raises(SystemExit, match='descriptors cannot be compared with those of'):
        retrieve.main([*index, '--config', config, '--checkpoint', str(other)])


def test_sync_adds_replaces_and_removes(retrieve, work_dir, photos, tmp_path, capsys):
    first, second = photos
    gallery = tmp_path / 'g'
    index = ['index', str(gallery)]
    retrieve.main([*index, *map(str, photos), '--work-dir', str(work_dir)])
    before = Gallery.load(gallery)
    (first / '0.png').unlink()
    (first / '1.png').write_bytes((second / '5.png').read_bytes() + b' ')
    (first / '2.png').write_text('no image any more')
    (first / 'new.png').write_bytes((second / '6.png').read_bytes())
    (second / '3.png').unlink()  # not among what is named below
    capsys.readouterr()
    retrieve.main([*index, str(first)])
    told = capsys.readouterr().err
    assert (
        '2 photo(s) changed since being indexed and keep their descriptors, for example '
        f'{first}/1.png' in told
    )
    assert (
        '1 photo(s) are gone since being indexed and can still be found, for example '
        f'{first}/0.png' in told
    )
    (first / 'new.png').rename(first / 'newer.png')
    assert retrieve.main([*index, str(first), '--sync']) == 0
    told = capsys.readouterr().out
    assert (
        f'{gallery}: 15 photos, 2 of them new or replaced, 2 gone ones removed, 1 skipped' in told
    )
    after = Gallery.load(gallery)
    vectors = dict(zip([p.path for p in after.photos], after.descriptors, strict=True))
    old = dict(zip([p.path for p in before.photos], before.descriptors, strict=True))
    missing = {str(first / name) for name in ('0.png', '2.png')}
    assert vectors.keys() == (old.keys() - missing) | {str(first / 'newer.png')}
    replaced = {str(first / '1.png'): '5.png', str(first / 'newer.png'): '6.png'}
    for path, vector in vectors.items():
        source = str(second / replaced[path]) if path in replaced else path
        np.testing.assert_allclose(vector, old[source], atol=1e-6)
    with pytest.raises(SystemExit, match=r'would empty the gallery: there is no image in .*/none'):
        retrieve.main([*index, str(tmp_path / 'none'), '--sync'])


def test_remove_and_info(retrieve, work_dir, photos, tmp_path, capsys):
    first, second = photos
    gallery = tmp_path / 'g'
    retrieve.main(['index', str(gallery), *map(str, photos), '--work-dir', str(work_dir)])
    (first / '0.png').unlink()
    (second / '0.png').write_text('other')
    capsys.readouterr()
    assert retrieve.main(['info', str(gallery)]) == 0
    told = capsys.readouterr().out
    assert '16: 14 as they were indexed, 1 changed, 1 gone' in told
    assert 'exact, descriptors of 32 numbers' in told
    assert 'EmbeddingRetriever with VisionTransformer' in told
    assert f'checkpoint  {work_dir}/epoch_1.pth\n' in told
    remove = ['remove', str(gallery)]
    assert retrieve.main([*remove, str(first / '0.png'), f'{second}/[12].png']) == 0
    assert f'{gallery}: 3 photos removed, 13 left' in capsys.readouterr().out
    assert retrieve.main([*remove, str(second)]) == 0
    assert f'{gallery}: 6 photos removed, 7 left' in capsys.readouterr().out
    assert (second / '3.png').exists()
    assert retrieve.main([*remove, str(second)]) == 1
    assert f'0 photos removed, 7 left: none is named {second}' in capsys.readouterr().out
    (work_dir / 'epoch_1.pth').unlink()
    retrieve.main(['info', str(gallery)])
    assert '/epoch_1.pth (gone)' in capsys.readouterr().out


def test_a_deleted_photo_is_told_when_it_is_found(retrieve, work_dir, photos, tmp_path, capsys):
    gallery, out = str(tmp_path / 'g'), str(tmp_path / 'out')
    retrieve.main(['index', gallery, str(photos[0]), '--work-dir', str(work_dir)])
    (photos[0] / '4.png').unlink()
    capsys.readouterr()
    query = ['query', gallery, str(photos[1] / '4.png'), '--out', out]
    assert retrieve.main(query) == 0
    told = capsys.readouterr().err
    assert (
        f'1 photo(s) that were found are gone since being indexed, for example {photos[0]}/4.png'
        in told
    )


def test_near_duplicates_stand_below_the_best(retrieve, work_dir, photos, tmp_path):
    first, second = photos
    for i in range(3):
        (first / f'again{i}.png').write_bytes((first / '3.png').read_bytes())
    gallery, out = str(tmp_path / 'g'), tmp_path / 'out'
    retrieve.main(['index', gallery, str(first), '--work-dir', str(work_dir)])
    query = ['query', gallery, str(second / '3.png'), '--out', str(out), '--top-k', '2']
    retrieve.main([*query, '--group-above', '0.999999'])
    (answer,) = json.loads((out / 'results.json').read_text())['queries']
    names = [
        [Path(r['image']).name, *(Path(a['image']).name for a in r.get('alike', []))]
        for r in answer['results']
    ]
    assert sorted(names[0]) == ['3.png', *(f'again{i}.png' for i in range(3))]
    assert len(names) == 2
    assert len(names[1]) == 1


def test_a_published_model_by_its_name(retrieve, work_dir, photos, tmp_path, monkeypatch):
    index_file = tmp_path / 'model-index.yml'
    address = 'https://nowhere.invalid/tiny.pth'
    index_file.write_text(
        'Collections: [{Name: Tiny}]\n'
        'Models: [{Name: tiny-photos, In Collection: Tiny, Config: recipe.py, '
        f'Weights: {address}}}]\n'
    )
    ModelHub.register_model_index(index_file, config_prefix=work_dir)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    cached = cached_download(address)
    cached.parent.mkdir(parents=True)
    (work_dir / 'epoch_1.pth').rename(cached)
    gallery = tmp_path / 'g'
    try:
        assert (
            retrieve.main(['index', str(gallery), str(photos[0]), '--pretrained', 'tiny-photos'])
            == 0
        )
        assert Gallery.load(gallery).source.checkpoint == str(cached)
        cached.unlink()
        monkeypatch.setattr(torch.hub, 'download_url_to_file', _no_network)
        with pytest.raises(SystemExit, match=r'tiny\.pth cannot be fetched \(no network\)'):
            retrieve.main(
                ['index', str(tmp_path / 'g2'), str(photos[0]), '--pretrained', 'tiny-photos']
            )
    finally:
        ModelHub._models_dict.pop('tiny-photos')
    with pytest.raises(SystemExit, match=r'there is no tiny-fotos: .* the name of a model with'):
        retrieve.main(
            ['index', str(tmp_path / 'g2'), str(photos[0]), '--pretrained', 'tiny-fotos']
        )


def _no_network(*_, **__):
    raise OSError('no network')


def test_addresses_are_not_indexed(retrieve, work_dir, tmp_path):
    index = ['index', str(tmp_path / 'g'), 'https://x.org/a.jpg', '--work-dir', str(work_dir)]
    with pytest.raises(SystemExit, match=r'https://x\.org/a\.jpg cannot be indexed: save it'):
        retrieve.main(index)


def test_no_code_in_a_gallery_is_run(retrieve, work_dir, photos, tmp_path):
    gallery, out, mark = tmp_path / 'g', tmp_path / 'out', tmp_path / 'ran'
    retrieve.main(['index', str(gallery), str(photos[0]), '--work-dir', str(work_dir)])
    code = f'import pathlib; pathlib.Path({str(mark)!r}).touch()'
    (gallery / 'config.py').write_text(code)
    query = ['query', str(gallery), str(photos[1] / '0.png'), '--out', str(out)]
    assert retrieve.main(query) == 0
    file = gallery / 'gallery.json'
    about = json.loads(file.read_text())
    about['settings']['model']['neck'] = {'type': 'builtins.exec', 'source': code}
    file.write_text(json.dumps(about))
    with pytest.raises(SystemExit, match=r"names 'builtins.exec' \(model.neck.type\).*--config"):
        retrieve.main(query)
    assert retrieve.main([*query, '--config', str(work_dir / 'recipe.py')]) == 0
    assert not mark.exists()


def test_a_gallery_of_the_former_version(retrieve, work_dir, photos, tmp_path, capsys):
    gallery, out = tmp_path / 'g', tmp_path / 'out'
    retrieve.main(['index', str(gallery), str(photos[0]), '--work-dir', str(work_dir)])
    now = Gallery.load(gallery)
    index = faiss.IndexFlatIP(32)
    index.add(now.descriptors)
    faiss.write_index(index, str(gallery / 'index-8.faiss'))
    about = json.loads((gallery / 'gallery.json').read_text())
    about |= {'format': 1, 'index': 'index-8.faiss'}
    (gallery / 'gallery.json').write_text(json.dumps(about))
    (gallery / 'config.py').write_text('raise SystemExit("executed")')
    query = ['query', str(gallery), str(photos[1] / '0.png'), '--out', str(out)]
    with pytest.raises(SystemExit, match='Name the config it was made with'):
        retrieve.main(query)
    assert retrieve.main([*query, '--config', str(work_dir / 'recipe.py')]) == 0
    capsys.readouterr()
    assert retrieve.main(['index', str(gallery), str(photos[0]), '--work-dir', str(work_dir)]) == 0
    assert '8 photos, 0 of them new; 8 were known' in capsys.readouterr().out
    assert Gallery.load(gallery).settings == now.settings
    assert retrieve.main(query) == 0


def test_a_work_dir_may_have_moved(retrieve, work_dir, photos, tmp_path, capsys):
    index = ['index', str(tmp_path / 'g'), str(photos[0]), '--work-dir']
    retrieve.main([*index, str(work_dir)])
    moved = work_dir.rename(tmp_path / 'moved')
    capsys.readouterr()
    index[2] = str(photos[1])
    assert retrieve.main([*index, str(moved)]) == 0
    assert '16 photos, 8 of them new' in capsys.readouterr().out


def test_a_pca_that_was_not_fitted_is_refused(retrieve, work_dir, photos, tmp_path):
    recipe = work_dir / 'recipe.py'
    recipe.write_text(
        RECIPE + "model['pca'] = dict(type='PCAProjection', in_dims=32, out_dims=4)\n"
    )
    model = MODELS.build(Config.fromfile(recipe).model)
    index = ['index', str(tmp_path / 'g'), str(photos[0]), '--work-dir', str(work_dir)]
    torch.save({'state_dict': model.state_dict()}, work_dir / 'epoch_1.pth')
    with pytest.raises(SystemExit, match=r'the PCA in .*epoch_1.pth has not been fitted'):
        retrieve.main(index)
    model.pca.fit(torch.randn(40, 32))
    torch.save({'state_dict': model.state_dict()}, work_dir / 'epoch_1.pth')
    assert retrieve.main(index) == 0
    assert Gallery.load(tmp_path / 'g').descriptors.shape == (8, 4)


def test_a_classifier_searches_by_its_pooled_features(retrieve, work_dir, photos, tmp_path):
    recipe = work_dir / 'recipe.py'
    text = recipe.read_text().replace('EmbeddingRetriever', 'ImageClassifier')
    head = "head=dict(type='VisionTransformerClsHead', num_classes=3, in_channels=32))"
    recipe.write_text(text.replace("neck=dict(type='TokenPooling', mode='cls'))", head))
    model = MODELS.build(Config.fromfile(recipe).model)
    torch.save({'state_dict': model.state_dict()}, work_dir / 'epoch_1.pth')
    gallery, out = str(tmp_path / 'g'), tmp_path / 'out'
    assert retrieve.main(['index', gallery, str(photos[0]), '--work-dir', str(work_dir)]) == 0
    features = Classifier(work_dir, device='cpu').features(str(photos[0]))
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    assert np.ptp(lengths) > 0
    np.testing.assert_allclose(Gallery.load(gallery).descriptors, features / lengths, atol=1e-6)
    query = ['query', gallery, str(photos[1]), '--out', str(out), '--top-k', '1']
    assert retrieve.main(query) == 0
    for answer in json.loads((out / 'results.json').read_text())['queries']:
        assert Path(answer['results'][0]['image']).name == Path(answer['image']).name


def test_predict_names_the_tool_for_a_retrieval_run(predict_tool, work_dir, photos):
    told = r'epoch_1\.pth is of the retriever .* tools/retrieve\.py .*--work-dir .*/work$'
    with pytest.raises(SystemExit, match=told):
        predict_tool.main([str(work_dir), str(photos[0])])
