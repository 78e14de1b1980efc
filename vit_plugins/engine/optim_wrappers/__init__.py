from .autocast_optim_wrapper import AutocastOptimWrapper
from .backbone_decay_optim_wrapper_constructor import BackboneDecayOptimWrapperConstructor

__all__ = ['AutocastOptimWrapper', 'BackboneDecayOptimWrapperConstructor']
