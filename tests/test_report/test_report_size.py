import numpy as np
import pytest
from PIL import Image
from small_work_dir import make_work_dir

from vit_plugins.report.findings import find_out
from vit_plugins.report.page import write_page
from vit_plugins.report.work_dir import read_run

pytestmark = pytest.mark.slow


def test_two_thousand_photos_fit_into_five_megabytes(tmp_path):
    """Noise is hardest to compress: the thumbnails shrink, and some may be left out."""
    rng = np.random.default_rng(0)
    classes = [f'class {i}' for i in range(10)]
    for name in classes:
        for part, count in (('train', 1), ('val', 200)):
            (tmp_path / 'photos' / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 255, (96, 128, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / 'photos' / part / name / f'{i}.jpg')
    folder = make_work_dir(tmp_path / 'work', tmp_path / 'photos', classes)
    run = read_run(folder)
    for part in ('train', 'val', 'test'):
        dataset = run.cfg[f'{part}_dataloader'].dataset
        dataset.part = 'all'
        dataset.data_prefix = 'train' if part == 'train' else 'val'
    page = write_page([find_out(run, 'cpu', baselines=False)], tmp_path / 'report.html')
    assert 3_000_000 < page.stat().st_size < 5_000_000
