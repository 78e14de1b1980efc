"""What pytest needs before it looks for tests; no torch, which the fixtures bring.

pytest loads this file, and those of the folders beside it, in the process that only distributes
tests to others, too (see ``-n`` in pyproject.toml). They leave torch, the host and the package to
the fixtures: the other processes wait until this one has started.
"""

import gc

gc.disable()  # until all tests are collected: nothing of them can be freed


def pytest_configure(config):
    """Load the shared fixtures, unless this process only distributes tests to others."""
    if config.getoption('dist', 'no') == 'no' or config.option.collectonly:
        config.pluginmanager.import_plugin('shared_fixtures')


def pytest_collection_finish():
    """Exclude objects that stay until the end (tests, modules) from garbage collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    gc.enable()


def pytest_terminal_summary(terminalreporter):
    """Write how many of the passed tests are guards, because guards do not test behaviour."""
    passed = terminalreporter.stats.get('passed', [])
    guards = sum('guard' in report.keywords for report in passed)
    if passed:
        terminalreporter.write_line(f'{len(passed) - guards} tests and {guards} guards passed')
