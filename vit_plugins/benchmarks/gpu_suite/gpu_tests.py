"""The stage that runs the tests of a GPU: its command, and what failed."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from .stage import Job

PLACE = re.compile(r'^(\S+\.py:\d+): ', re.MULTILINE)  # in a short traceback
LONGEST = 400  # characters of a message; tensors in it may take thousands


def command_of_tests(job: Job) -> list[str]:
    """Return the command that runs the tests.

    Args:
        job: The job of the stage.
    """
    where = ['env', 'VIT_PLUGINS_GPU_TESTS_ON=cpu'] if job.toy else []
    return [
        *(*where, *job.module('')[:2], 'pytest', '-m', 'gpu', 'tests/test_gpu', '-q'),
        *('--tb=short', '--show-capture=no', '-p', 'no:cacheprovider'),
        *('-n', '0' if job.toy else '4', f'--junitxml={job.work / "tests.xml"}'),
    ]


def collect_tests(job: Job) -> dict[str, Any]:
    """Return how many tests there were, and of each that failed the message and the places.

    Args:
        job: The job of the stage.

    Raises:
        ValueError: If all tests were skipped.
    """
    suite = ElementTree.parse(job.work / 'tests.xml').getroot().find('testsuite')
    counts = {key: int(suite.get(key)) for key in ('tests', 'failures', 'errors', 'skipped')}
    failed = {
        f'{case.get("classname")}.{case.get("name")}': {
            'message': (problem.get('message') or '')[:LONGEST],
            'at': PLACE.findall(problem.text or ''),
        }
        for case in suite.iter('testcase')
        for kind in ('failure', 'error')
        for problem in case.iter(kind)
    }
    if counts['tests'] == counts['skipped']:
        raise ValueError(f'all of {counts["tests"]} tests were skipped: nothing was compared')
    return {**counts, 'failed': failed}
