import sys

import numpy as np

from vit_plugins.host.process_memory import peak_memory


def test_what_is_taken_counts(monkeypatch):
    held = np.ones(2**22)  # 32 MiB
    assert peak_memory() > held.nbytes
    monkeypatch.setitem(sys.modules, 'resource', None)  # as on Windows
    assert peak_memory() is None
