import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmpretrain.registry import METRICS
from mmpretrain.structures import DataSample

from vit_plugins.evaluation.metrics.real_accuracy import image_number, real_accuracy

# real.json as published: a list for each of the 50,000 images; here the first four have labels
REAL = b'[[970, 795],[230, 231],[809],[516, 850]' + b',[]' * 49_996 + b']'


@pytest.fixture
def metric(tmp_path):
    (tmp_path / 'real.json').write_bytes(REAL)
    return METRICS.build({'type': 'ReaLAccuracy', 'real_json': str(tmp_path / 'real.json')})


def sample(number, label, scores=False, **meta):
    meta = meta or {'img_path': f'val/n01/ILSVRC2012_val_{number:08d}.JPEG'}
    found = DataSample(metainfo=meta).set_gt_label(0)
    if scores:
        return found.set_pred_score(torch.eye(1000)[label])
    return found.set_pred_label(label)


@pytest.mark.parametrize('scores', [False, True])
def test_any_label_is_right_and_images_without_do_not_count(metric, scores):
    predicted = {3: 809, 1: 795, 5: 7, 2: 230, 50_000: 3, 4: 515}  # in any order
    evaluator = Evaluator(metric)
    for number, label in predicted.items():
        evaluator.process([sample(number, label, scores)])
    assert evaluator.evaluate(len(predicted)) == {'real/top1': 75.0}


def test_as_timm_counts_with_the_published_labels(tmp_path):
    timm = pytest.importorskip('timm')
    file = Path(timm.__file__).parent / 'data/_info/imagenet_real_labels.json'
    if not file.is_file():
        pytest.skip('this timm comes without the labels')
    labels = json.loads(file.read_text())
    rng = np.random.default_rng(0)
    guesses = rng.integers(0, 1000, 50_000)
    usual = [found[0] if found and rng.random() < 0.7 else 0 for found in labels]
    predicted = np.where(rng.random(50_000) < 0.9, usual, guesses)
    names = [f'ILSVRC2012_val_{i:08d}.JPEG' for i in range(1, 50_001)]
    oracle = timm.data.RealLabelsImagenet(names, real_json=str(file), topk=(1,))
    for some in torch.as_tensor(predicted).split(5_000):
        oracle.add_result((some[:, None] == torch.arange(1000)).float())
    found = real_accuracy(predicted.tolist(), range(1, 50_001), labels)
    assert found == pytest.approx(oracle.get_accuracy(1))
    assert 60 < found < 70
    # 46,837 images have labels: Beyer et al., section 3
    metric = METRICS.build({'type': 'ReaLAccuracy', 'real_json': str(file)})
    assert repr(metric) == 'ReaLAccuracy(46,837 images with labels)'


def test_part_without_labels(metric):
    with pytest.raises(ValueError, match='none of the 1 images has labels'):
        metric.compute_metrics([(3, 5)])


@pytest.mark.parametrize(
    'path', ['val/1.JPEG', 'ILSVRC2012_val_00050001.JPEG', 'ILSVRC2012_test_00000001.JPEG']
)
def test_other_images(path, metric):
    with pytest.raises(ValueError, match='not named as the images of the validation part'):
        image_number(path)
    with pytest.raises(ValueError, match='not named as'):
        Evaluator(metric).process([sample(1, 0, img_path=path)])


def test_path_not_handed_on(metric):
    with pytest.raises(KeyError, match=r"no 'img_path'.*meta_keys of PackInputs"):
        Evaluator(metric).process([sample(1, 0, sample_idx=0)])


def test_broken_or_missing_file(tmp_path):
    file = tmp_path / 'real.json'
    build = {'type': 'ReaLAccuracy', 'real_json': str(file)}
    with pytest.raises(FileNotFoundError, match='get it from https://raw'):
        METRICS.build(build)
    file.write_bytes(b'[[1], [2]]')
    with pytest.raises(ValueError, match='each of the 50,000 images, got 2'):
        METRICS.build(build)
    for broken in (b'3', b'[' + b'1, ' * 49_999 + b'1]'):
        file.write_bytes(broken)
        with pytest.raises(ValueError, match='each of the 50,000 images, got something else'):
            METRICS.build(build)
