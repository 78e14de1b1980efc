"""What a machine can train in a given time."""

from pathlib import Path

import pytest
from mmengine.config import Config

from vit_plugins.engine.machine_step import largest_step, seconds_of_step

STEPS = [dict(size=64), dict(size=96), dict(size=128)]
SCRATCH = Path(__file__).parents[2] / 'configs' / 'photos-scratch.py'


@pytest.mark.parametrize(
    ('epochs', 'found', 'measured'),
    [
        ((50, 20, 10), 64, [64]),  # none is fast enough: the fastest
        ((300, 200, 100), 96, [64, 96, 128]),
        ((300, 100, 200), 64, [64, 96]),  # what follows a slow one is slower
        ((900, 600, 150), 128, [64, 96, 128]),
    ],
)
def test_the_slowest_that_sees_images_often_enough(epochs, found, measured):
    asked = []
    of_size = dict(zip((64, 96, 128), epochs, strict=True))

    def epochs_of(step):
        asked.append(step['size'])
        return of_size[step['size']]

    assert largest_step(STEPS, epochs_of, 150) == (dict(size=found), of_size[found])
    assert asked == measured


def test_larger_images_take_longer():
    cfg = Config.fromfile(SCRATCH)
    small, large = dict(scale=32), dict(scale=128)
    seconds = []
    for size in (small, large):
        cfg.data_preprocessor.batch_transforms[0].update(size)
        seconds.append(seconds_of_step(cfg, 2))
    assert 0 < seconds[0] < seconds[1]
