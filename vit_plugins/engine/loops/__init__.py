from .frozen_feature_loop import FrozenFeatureLoop
from .frozen_feature_val_loop import FrozenFeatureValLoop

__all__ = ['FrozenFeatureLoop', 'FrozenFeatureValLoop']
