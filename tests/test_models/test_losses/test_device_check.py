import pytest
import torch

from vit_plugins.models.losses.device_check import require


def test_values_are_told_on_a_cpu():
    require(torch.tensor(True), lambda: pytest.fail('nothing to say'), 'short')
    with pytest.raises(ValueError, match='found 3'):
        require(torch.tensor(False), lambda: 'found 3', 'short')


def test_other_devices_check_by_themselves():
    """An assertion of the device: nothing is read, so the message is not asked for."""
    condition = torch.empty((), dtype=torch.bool, device='meta')
    require(condition, lambda: pytest.fail('this would wait'), 'short')


def test_assertion_of_a_device_has_the_short_message():
    with pytest.raises(RuntimeError, match='short'):
        torch._assert_async(torch.tensor(False), 'short')
