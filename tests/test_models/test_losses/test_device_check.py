import pytest
import torch

from vit_plugins.models.losses.device_check import require


def test_values_are_told_on_a_cpu():
    require(torch.tensor(True), lambda: pytest.fail('nothing to say'), 'short')
    with pytest.raises(ValueError, match='found 3'):
        require(torch.tensor(False), lambda: 'found 3', 'short')


def test_without_values_there_is_nothing_to_check():
    condition = torch.empty((), dtype=torch.bool, device='meta')
    require(condition, lambda: pytest.fail('there are no values'), 'short')


class Condition:
    """Replaces a condition on a device that this machine does not have."""

    is_meta = False

    def __init__(self, device):
        self.device = torch.device(device)

    def __bool__(self):
        if self.device.type == 'cuda':
            pytest.fail('this would wait')
        return False


def test_a_cuda_device_checks_by_itself(monkeypatch):
    """No value is read, so the message is not built."""
    asserted = []
    monkeypatch.setattr(torch, '_assert_async', lambda *args: asserted.append(args))
    condition = Condition('cuda')
    require(condition, lambda: pytest.fail('this would wait'), 'short')
    assert asserted == [(condition, 'short')]


@pytest.mark.parametrize('device', ['mps', 'xpu'])
def test_devices_without_assertions_are_read(monkeypatch, device):
    monkeypatch.setattr(torch, '_assert_async', lambda *_: pytest.fail('not implemented'))
    with pytest.raises(ValueError, match='found 3'):
        require(Condition(device), lambda: 'found 3', 'short')


def test_assertion_of_a_device_has_the_short_message():
    with pytest.raises(RuntimeError, match='short'):
        torch._assert_async(torch.tensor(False), 'short')
