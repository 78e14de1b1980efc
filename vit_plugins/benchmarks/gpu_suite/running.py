"""Run a stage under its time limit and write its result, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from traceback import format_exc
from typing import Any

from .process_tree import descendants
from .stage import Job, Stage

GRACE = 5.0  # seconds between the request to end and the kill
TAIL = 60  # log lines in the result of a failed stage
PROGRESS = 20.0  # seconds between two lines on what a stage does


def has_result(stage: Stage, folder: Path) -> bool:
    """Check whether a folder holds the result of a stage that passed on a GPU.

    Args:
        stage: The stage.
        folder: A folder such as ``docs/gpu``.
    """
    try:
        found = json.loads((folder / stage.file).read_text())
    except (OSError, ValueError):
        return False
    return found.get('status') == 'passed' and not found.get('dry_run')


def run_stage(stage: Stage, job: Job, machine: dict[str, Any], log: Path) -> dict[str, Any]:
    """Run a stage, and write its result into ``job.out`` at once.

    Args:
        stage: The stage.
        job: The folders, device and time of the stage.
        machine: The description of the machine for the result.
        log: The file to which the output is added.

    Returns:
        The result: ``status`` is 'passed', 'failed', 'timeout', or 'partial' if the time was up
        and only some parts are whole.
    """
    result: dict[str, Any] = {
        'stage': stage.number,
        'about': stage.about,
        'status': 'failed',
        'dry_run': job.toy,
        'limit': job.seconds,
        'machine': machine,
    }
    job.work.mkdir(parents=True, exist_ok=True)
    own_log = job.work / 'log.txt'
    try:
        command = stage.command(job)
        result['command'] = _without_folders(command, job)
        result['status'] = _run(command, stage.number, job, own_log)
    except Exception:
        result['error'] = format_exc()
    result['seconds'] = round(time.time() - job.started, 1)
    try:
        result['results'] = stage.collect(job)
        if result['status'] == 'timeout':
            result['status'] = _status_at_the_limit(stage, result['results'])
    except Exception:  # there is no result yet: the log says why
        result['results'] = {}
        if result['status'] == 'passed':
            result |= {'status': 'failed', 'error': format_exc()}
    said = own_log.read_text(errors='replace') if own_log.is_file() else ''
    if result['status'] != 'passed':
        result['log'] = said.splitlines()[-TAIL:]
    with log.open('a') as stream:
        stream.write(f'\n== stage {stage.number}: {result["status"]}\n{said}')
    write_result(result, job.out / stage.file)
    return result


def write_result(result: dict[str, Any], path: Path) -> None:
    """Write a result; the file is complete at any moment.

    Args:
        result: The result.
        path: The file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix('.part')
    part.write_text(json.dumps(result, indent=1) + '\n')
    part.replace(path)


def _status_at_the_limit(stage: Stage, found: dict[str, Any]) -> str:
    if stage.goes_on:
        return 'passed'
    if not found.get('whole'):
        return 'timeout'
    return 'partial' if found['missing'] else 'passed'


def _run(command: list[str], number: str, job: Job, log: Path) -> str:
    environment = {**os.environ, 'PYTHONUNBUFFERED': '1', 'PYTHONPATH': python_path(job.root)}
    with log.open('w') as stream:
        process = subprocess.Popen(
            command,
            stdout=stream,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=job.root,
            env=environment,
            start_new_session=True,  # so that all its processes can be ended together
        )
        try:
            code = _wait(process, number, job)
        finally:
            end_group(process)
    return {None: 'timeout', 0: 'passed'}.get(code, 'failed')


def _wait(process: subprocess.Popen, number: str, job: Job) -> int | None:
    """Return the exit code, None at the time limit; print now and then what the stage does."""
    ends = job.started + job.seconds
    while (left := ends - time.time()) > 0:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(min(PROGRESS, left))
        spent = time.time() - job.started
        print(f'  {number} at {spent:.0f} s: {_newest_line(job.work)}', flush=True)
    return process.poll()


def _newest_line(folder: Path) -> str:
    """Return the last line of the log that was written last."""
    with suppress(OSError, ValueError):  # a file has gone meanwhile, or there is none
        logs = [*folder.rglob('*.log'), *folder.rglob('log.txt')]
        newest = max(logs, key=lambda path: path.stat().st_mtime)
        lines = newest.read_text(errors='replace').split('\n')
        return next((line.strip()[:160] for line in reversed(lines) if line.strip()), '')
    return ''


def end_group(process: subprocess.Popen) -> None:
    """End a process and its group: all processes that it started.

    Args:
        process: A process that was started with ``start_new_session``.
    """
    started = descendants(process.pid)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for pid in started:  # processes that left the group
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def python_path(root: Path) -> str:
    """Return PYTHONPATH with the checkout first.

    Args:
        root: The checkout.
    """
    return os.pathsep.join([str(root), *filter(None, [os.environ.get('PYTHONPATH')])])


def _without_folders(command: list[str], job: Job) -> str:
    """Return a command as text without the folders of this machine."""
    text = ' '.join('python' if word == sys.executable else word for word in command)
    for folder, name in ((job.work, 'WORK'), (job.out, 'OUT'), (job.root, '.')):
        text = text.replace(str(folder), name)
    return text
