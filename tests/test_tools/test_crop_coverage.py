"""The fraction that crops keep of a sampled set, against counted pixels."""

import numpy as np
import pytest
from mmengine.runner import set_random_seed
from mmpretrain.datasets import RandomResizedCrop
from tool_loading import load_tool

from vit_plugins.datasets.transforms import SimpleRandomCrop


@pytest.fixture(scope='module')
def tool():
    return load_tool('benchmarks/crop_coverage')


def test_sampled_set_is_what_it_says(tool):
    sampled = tool.sample_set(4000, 1.0, seed=0)
    heights, widths = sampled.shapes.T
    assert sampled.shapes.min() >= 240
    assert sampled.shapes.min(1).max() <= 640
    assert abs((heights > widths).mean() - 0.375) < 0.04  # a quarter is square
    assert (sampled.boxes[:, :2] >= 0).all()
    assert (sampled.boxes[:, 2:] <= sampled.shapes[:, ::-1]).all()
    shares = sampled.object_shares()
    assert 0.0199 < shares.min() < 0.022
    assert 0.5 < shares.max() <= 0.6001
    again, other = (tool.sample_set(4000, 1.0, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(sampled.boxes, again.boxes)
    assert (sampled.boxes != other.boxes).any()


def test_objects_come_nearer_to_the_middle(tool):
    def distance(concentration):
        sampled = tool.sample_set(2000, concentration, seed=0)
        centre = (sampled.boxes[:, :2] + sampled.boxes[:, 2:]) / 2 / sampled.shapes[:, ::-1]
        return abs(centre - 0.5).mean()

    assert distance(4.0) < 0.6 * distance(1.0)


def test_shares_are_those_of_counted_pixels(tool):
    transform = RandomResizedCrop(32)
    shapes = np.array([[30, 40], [40, 30], [20, 50]])
    boxes = np.array([[3, 4, 20, 25], [0, 0, 30, 5], [41, 10, 50, 20]], float)
    found = tool.measure(transform, tool.SampledSet(shapes, boxes), draws=20, seed=3)
    set_random_seed(3)
    expected = []
    for (height, width), box in zip(shapes, boxes.astype(int), strict=True):
        for _ in range(20):
            mask = np.zeros((height, width), bool)
            mask[box[1] : box[3], box[0] : box[2]] = True
            top, left, h, w = transform.rand_crop_params(mask)
            cut = mask[top : top + h, left : left + w]
            expected.append((cut.size / mask.size, cut.sum() / mask.sum(), max(w / h, h / w)))
    expected = np.array(expected).T
    np.testing.assert_allclose([found.image, found.box, found.stretch], expected)
    assert found.small.tolist() == [False] * 20 + [False] * 20 + [True] * 20
    assert 0 < (found.box == 0).sum() < 60


def test_simple_random_crop_keeps_a_square_whole(tool):
    sampled = tool.SampledSet(np.array([[50, 50]]), np.array([[10.0, 10, 20, 20]]))
    found = tool.measure(SimpleRandomCrop(32, padding=0), sampled, draws=5, seed=0)
    assert found.image.tolist() == found.box.tolist() == found.stretch.tolist() == [1.0] * 5


def test_a_row_of_the_table(tool):
    found = tool.Coverage(
        image=np.array([0.1, 0.3, 0.5]),
        box=np.array([0.0, 0.4, 1.0]),
        stretch=np.array([1.0, 1.1, 1.2]),
        small=np.array([True, False, True]),
    )
    figures = tool.table_row('crop', found).split()[1:]
    assert figures == ['0.300', '0.140', '0.467', '0.333', '0.667', '0.500', '1.100', '1.200']


@pytest.mark.parametrize('option', ['--size', '--num-images', '--num-draws'])
def test_nothing_to_crop_is_refused(tool, option, capsys):
    with pytest.raises(SystemExit):
        tool.main([option, '0'])
    assert '--size, --num-images and --num-draws must be 1 or more' in capsys.readouterr().err


def test_from_start_to_end(tool, capsys):
    tool.main(['--num-images', '40', '--num-draws', '2'])
    first = capsys.readouterr().out
    assert first.count('RandomResizedCrop') == 2
    assert first.count('SimpleRandomCrop') == 4
    for line in first.splitlines():
        if line.startswith('SimpleRandomCrop  '):
            assert float(line.split()[1]) > 0.6  # of the image; 3/4 at 4:3
    tool.main(['--num-images', '40', '--num-draws', '2'])
    assert capsys.readouterr().out == first
