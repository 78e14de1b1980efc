import signal

from vit_plugins.engine import interruption
from vit_plugins.engine.interruption import StopHook, last_saved, stopping_between_steps


def test_the_second_signal_ends_at_once():
    hook, before = StopHook(), signal.getsignal(signal.SIGTERM)
    with stopping_between_steps(hook):
        assert signal.getsignal(signal.SIGTERM) != before
        signal.raise_signal(signal.SIGTERM)
        assert hook.asked
        assert signal.getsignal(signal.SIGTERM) == before
    assert signal.getsignal(signal.SIGTERM) == before


def test_ranks_are_ended_by_their_launcher(monkeypatch):
    monkeypatch.setattr(interruption, 'get_world_size', lambda: 2)
    before = signal.getsignal(signal.SIGTERM)
    with stopping_between_steps(StopHook()):
        assert signal.getsignal(signal.SIGTERM) == before


def test_the_newest_checkpoint(tmp_path):
    assert last_saved(tmp_path) is None
    (tmp_path / 'best_accuracy_epoch_1.pth').touch()
    assert last_saved(tmp_path) is None
    (tmp_path / 'epoch_1.pth').touch()
    assert last_saved(tmp_path) == 'epoch_1.pth'
