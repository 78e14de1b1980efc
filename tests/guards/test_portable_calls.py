"""Training, prediction and search use only functions that Linux, macOS and Windows all have."""

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / 'vit_plugins'
# What measures and runs studies may need a POSIX system.
ELSEWHERE = ('benchmarks', 'studies')
POSIX = re.compile(
    r'\bos\.(?:fork\w*|kill\w*|[gs]ete?[ug]id|getpgid|setsid|sched_\w+|link|symlink|mkfifo|nice'
    r'|chown|chroot|statvfs|uname|sysconf|wait\w*|getloadavg|rename)\b'
    r'|\bsignal\.(?:SIGKILL|SIGUSR\d|SIGALRM|SIGHUP|SIGQUIT|SIGSTOP|alarm|setitimer|pause)\b'
    r'|\bimport (?:resource|pwd|grp|fcntl|termios|tty|pty|syslog)\b'
    r'|[\'"]/(?:proc|dev|tmp|sys)/|\bpreexec_fn\b|\bpass_fds\b|\bstart_new_session\b'
)
# Each has another way where the system lacks it, which a test takes.
GUARDED = {
    ('fileio/atomic_backend.py', 'os.kill'),
    ('fileio/file_lock.py', 'import fcntl'),
    ('datasets/_image_cache.py', 'os.sysconf'),
    ('host/process_memory.py', 'import resource'),
}


def posix_calls(source: str) -> set[str]:
    return set(POSIX.findall(source))


def test_nothing_of_posix_alone():
    found = {
        (file.relative_to(PACKAGE).as_posix(), call)
        for file in PACKAGE.rglob('*.py')
        if file.relative_to(PACKAGE).parts[0] not in ELSEWHERE
        for call in posix_calls(file.read_text(encoding='utf-8'))
    }
    assert found - GUARDED == set()
    assert GUARDED - found == set()


@pytest.mark.parametrize(
    ('source', 'found'),
    [
        ('os.kill(1, signal.SIGKILL)', {'os.kill', 'signal.SIGKILL'}),
        ('import resource', {'import resource'}),
        ('os.replace(a, b); signal.SIGTERM; from ..resources import x', set()),
    ],
)
def test_the_search_finds_them(source, found):
    assert posix_calls(source) == found
