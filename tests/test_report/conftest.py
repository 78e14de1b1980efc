"""Two trainings on the same photos."""

import numpy as np
import pytest


@pytest.fixture(scope='session')
def work_dirs(tmp_path_factory):
    """Write the work dirs of two trainings on the same photos."""
    from small_work_dir import CLASSES, make_photos, make_work_dir

    from vit_plugins.report.outcome import Outcome, write_outcome

    base = tmp_path_factory.mktemp('report')
    make_photos(base / 'photos', sorted(CLASSES), 10)
    classes = sorted(CLASSES)
    folders = [make_work_dir(base / n, base / 'photos', classes, i) for i, n in enumerate('ab')]
    known = {'colour histogram + extra trees': 50.0, 'another': 'not computed'}
    write_outcome(folders[0], Outcome(2, 'epoch', np.eye(3, dtype=int), classes, baselines=known))
    return folders


@pytest.fixture(scope='session')
def found(work_dirs):
    """Return the findings of both trainings."""
    from vit_plugins.report.findings import find_out
    from vit_plugins.report.work_dir import read_run

    return [find_out(read_run(folder), 'cpu', baselines=False) for folder in work_dirs]
