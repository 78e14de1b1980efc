"""Our commands keep freed memory, unless the user has set something else."""

import sys

import pytest

from vit_plugins.host import memory_reuse
from vit_plugins.host.memory_reuse import keep_freed_memory


@pytest.mark.parametrize(
    'chosen',
    [{'MALLOC_TRIM_THRESHOLD_': '7'}, {'GLIBC_TUNABLES': 'glibc.malloc.trim_threshold=7'}],
)
def test_what_the_user_chose_stays(chosen, monkeypatch):
    monkeypatch.setattr(memory_reuse.ctypes, 'CDLL', None)  # a call would fail
    assert not keep_freed_memory(chosen)


def test_the_c_library_is_asked(monkeypatch):
    asked = []

    class Library:
        def __init__(self, name):
            self.name = name

        def mallopt(self, option, value):
            asked.append((self.name, option, value))
            return 1

    monkeypatch.setattr(memory_reuse.ctypes, 'CDLL', Library)
    monkeypatch.setattr(sys, 'platform', 'linux')
    assert keep_freed_memory({})
    # the numbers of M_TRIM_THRESHOLD and M_MMAP_THRESHOLD in malloc.h of the GNU C library
    assert asked == [('libc.so.6', -1, 2**30), ('libc.so.6', -3, 2**30)]


def test_another_c_library_or_system(monkeypatch):
    def absent(name):
        raise OSError(name)

    monkeypatch.setattr(memory_reuse.ctypes, 'CDLL', absent)
    assert not keep_freed_memory({})
    monkeypatch.setattr(sys, 'platform', 'win32')
    assert not keep_freed_memory({})
