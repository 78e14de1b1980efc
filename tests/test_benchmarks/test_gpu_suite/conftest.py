"""Jobs and stages that need no GPU."""

import sys
import time
from pathlib import Path

import pytest

from vit_plugins.benchmarks.gpu_suite.stage import Job, Stage

ROOT = Path(__file__).parents[3]


@pytest.fixture
def make_job(tmp_path):
    """Return a job; by default a true one, on a GPU."""

    def make(**changes):
        settings = dict(
            root=ROOT,
            out=tmp_path / 'out',
            work=tmp_path / 'work',
            images=tmp_path / 'images',
            cache=tmp_path / 'cache',
            device='cuda',
            toy=False,
            started=time.time(),
            seconds=60.0,
        )
        job = Job(**{**settings, **changes})
        job.work.mkdir(parents=True, exist_ok=True)
        return job

    return make


@pytest.fixture
def script_stage():
    """Return a stage that runs a script and reads what the script wrote into WORK/found."""

    def make(script, **settings):
        return Stage(
            '7',
            'script',
            'a script',
            60.0,
            lambda job: [sys.executable, '-S', '-c', script, str(job.work)],
            lambda job: {'found': (job.work / 'found').read_text()},
            **settings,
        )

    return make
