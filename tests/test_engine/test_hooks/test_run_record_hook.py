"""What a run writes when it begins and when it ends."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from vit_plugins.datasets.image_folder import ImageFolder
from vit_plugins.datasets.trained_photos import TRAINED_ON, read_trained_photos
from vit_plugins.engine.hooks import RunRecordHook
from vit_plugins.engine.late_config import LateConfig, late_runner
from vit_plugins.engine.work_folder import WorkFolderError
from vit_plugins.fileio.run_record import RunRecord, read_record, write_record


class WritesAtOnce:
    """Replaces the host's runner."""

    def __init__(self, folder, classes=('cat', 'dog'), filename='x/job.py'):
        self.work_dir = str(folder)
        self.timestamp = '2026'
        self._resume, self._load_from = False, None
        self.cfg = SimpleNamespace(filename=filename)
        dataset = SimpleNamespace(metainfo={} if classes is None else {'classes': classes})
        loader = SimpleNamespace(dataset=dataset)
        self.train_loop = SimpleNamespace(dataloader=loader)
        self.dumped = []
        self.dump_config()

    def dump_config(self):
        self.dumped.append('config')


class WritesLate(LateConfig, WritesAtOnce):
    pass


def test_config_and_record_are_written_when_training_begins(tmp_path):
    runner = WritesLate(tmp_path)
    assert runner.dumped == []
    assert read_record(tmp_path) is None
    RunRecordHook().before_train(runner)
    assert runner.dumped == ['config']
    begun = read_record(tmp_path)
    assert (begun.config, begun.classes, begun.finished) == ('job.py', ['cat', 'dog'], False)
    assert begun.command.startswith('python ')  # this is no command of ours
    assert begun.versions['torch'] == torch.__version__.partition('+')[0]
    RunRecordHook().after_train(runner)
    assert read_record(tmp_path) == replace(begun, finished=True)


def test_beside_the_runner_of_the_host_only_the_record_is_written(tmp_path):
    runner = WritesAtOnce(tmp_path, classes=None, filename=None)
    RunRecordHook().before_train(runner)
    assert runner.dumped == ['config']  # its own
    assert read_record(tmp_path).config == '2026.py'
    assert read_record(tmp_path).classes is None


def test_a_record_of_another_version_is_read(tmp_path):
    (tmp_path / 'run.json').write_text('{"config": "a.py", "classes": null, "later": 1}')
    assert read_record(tmp_path) == RunRecord('a.py', None)
    (tmp_path / 'run.json').write_text('{"classes": null}')
    assert read_record(tmp_path) is None


def test_other_classes_leave_config_and_record_of_the_run_that_is_there(tmp_path):
    write_record(tmp_path, record := RunRecord('old.py', ['ant'], False))
    (tmp_path / 'iter_1.pth').touch()
    runner = WritesLate(tmp_path)
    with pytest.raises(WorkFolderError, match=r"other classes \(new: 'cat', 'dog'; gone: 'ant'"):
        RunRecordHook().before_train(runner)
    assert runner.dumped == []
    assert read_record(tmp_path) == record


def test_a_test_does_not_replace_the_config_of_a_training(tmp_path):
    runner = WritesLate(tmp_path)
    RunRecordHook().before_test(runner)
    assert runner.dumped == ['config']
    write_record(tmp_path, RunRecord('job.py', None, True))
    runner = WritesLate(tmp_path)
    RunRecordHook().before_test(runner)
    assert runner.dumped == []


def test_any_runner_of_the_registry_can_write_late():
    assert issubclass(late_runner(), Runner)
    assert issubclass(late_runner(), LateConfig)
    assert late_runner('FlexibleRunner').__mro__[3] is RUNNERS.get('FlexibleRunner')
    with pytest.raises(KeyError, match="No runner is registered under the name 'Runer'"):
        late_runner('Runer')


@pytest.mark.parametrize('elsewhere', [False, True])
def test_a_resumed_training_keeps_the_photos_of_before(tmp_path, elsewhere):
    folder, first = tmp_path / 'd', tmp_path / 'w'
    for name in ('cat', 'dog'):
        (folder / name).mkdir(parents=True)
        for i in range(2):
            (folder / name / f'{i}.jpg').write_bytes(bytes(i + 1))
    first.mkdir()

    def begin(work_dir, resume, dataset=None):
        work_dir.mkdir(exist_ok=True)
        runner = WritesAtOnce(work_dir)
        runner.train_loop.dataloader.dataset = dataset or ImageFolder(str(folder))
        runner._resume, runner._load_from = resume, resume and str(first / 'epoch_1.pth')
        RunRecordHook().before_train(runner)
        table = work_dir / TRAINED_ON
        return read_trained_photos(table) if table.is_file() else set()

    before = begin(first, resume=False)
    assert len(before) == 4
    (folder / 'cat' / '0.jpg').unlink()
    (folder / 'cat' / 'new.jpg').write_bytes(bytes(9))
    second = tmp_path / 'other' if elsewhere else first
    now = begin(second, resume=True)
    assert now > before
    assert len(now) == 5
    published = SimpleNamespace(metainfo={'classes': ['cat', 'dog']})  # photos of no folder
    assert begin(second, resume=True, dataset=published) >= before
    assert len(begin(second, resume=False)) == 4  # a new training in the same folder
    assert begin(second, resume=False, dataset=published) == set()
