"""Every component that the package registers is tested with generated examples."""

import properties
import test_backbone_properties  # noqa: F401  (each fills properties.TRIED)
import test_engine_properties  # noqa: F401
import test_image_properties  # noqa: F401
import test_loss_properties  # noqa: F401
from mmpretrain import registry
from mmpretrain.registry import DATASETS, HOOKS, LOOPS

KINDS = [kind for kind in vars(registry).values() if getattr(kind, 'scope', '') == 'mmpretrain']

# Whole kinds that have no input to generate here.
NOT_TRIED = {
    DATASETS: 'they read files: tools/fuzz.py changes those',
    HOOKS: 'they act on a Runner: tests/test_engine trains with each',
    LOOPS: 'they are a Runner of their own: tests/test_engine trains with them',
}


def ours(kind):
    return {
        name
        for name, component in kind.module_dict.items()
        if component.__module__.startswith('vit_plugins.')
    }


def test_every_component_is_tried():
    assert set(NOT_TRIED) < set(KINDS)
    registered = set().union(*(ours(kind) for kind in KINDS if kind not in NOT_TRIED))
    assert len(registered) > 40
    assert registered == properties.TRIED
