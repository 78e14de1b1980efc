"""Write the page of a training at its end."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS


@HOOKS.register_module()
class ReportPageHook(Hook):
    """Write ``report.html``, as ``tools/report.py`` does, when a training has ended.

    If the page cannot be written, there is only a warning: the training is complete without it.

    Args:
        enable: Whether to write the page. To switch it off:
            ``--cfg-options default_hooks.report_page.enable=False``.
        filename: The page, in the work dir.
    """

    def __init__(self, enable: bool = True, filename: str = 'report.html') -> None:
        self.enable = enable
        self.filename = filename
        self._has_trained = False

    def __repr__(self) -> str:
        return f'ReportPageHook(enable={self.enable}, filename={self.filename!r})'

    def after_train(self, runner: Runner) -> None:
        """Note that this run is a training.

        Args:
            runner: The runner.
        """
        self._has_trained = True

    def after_run(self, runner: Runner) -> None:
        """Write the page after all other hooks have written their results.

        Args:
            runner: The runner.
        """
        if not (self.enable and self._has_trained and is_main_process()):
            return
        self._has_trained = False
        page = Path(runner.work_dir, self.filename)
        try:
            # only where a page is wanted: it takes time to import
            from ...report.findings import find_out
            from ...report.page import write_page
            from ...report.work_dir import read_run

            write_page([find_out(read_run(runner.work_dir), baselines=False)], page)
        except Exception as error:  # no error here may lose hours of training
            runner.logger.log(
                logging.WARNING,
                f'{page} could not be written ({type(error).__name__}: {error}); the training '
                'itself is whole. To try again: vit-plugins report '
                f'{shlex.quote(runner.work_dir)}',
            )
            return
        runner.logger.info(f'The training as a page: {page}', extra=dict(shown=True))
