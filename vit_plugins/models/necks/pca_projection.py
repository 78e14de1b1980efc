"""Project pooled features to principal components, as a part of the model."""

import numpy as np
import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from ...evaluation.functional.pca import fit_pca, fit_supervised_whitening

MODES = ('plain', 'whitening', 'supervised')


@MODELS.register_module()
class PCAProjection(nn.Module):
    """Project features to y = P (x - m), with m and P fitted to features after training.

    The mode of the fit is stored with m and P, also in checkpoints; values of another mode are not
    used. :class:`FitPCAHook` fits before each evaluation::

        model = dict(
            type='EmbeddingRetriever', ...,
            pca=dict(type='PCAProjection', in_dims=384, out_dims=128))
        custom_hooks = [dict(type='FitPCAHook')]

    Args:
        in_dims: Dimensions of the features, D.
        out_dims: Components to keep.
        mode: ``'plain'`` only rotates (IRT, arXiv 2102.05644); ``'whitening'`` also scales each
            component to variance 1; ``'supervised'`` whitens the differences within matching
            pairs first. To switch PCA off, leave the module out.

    Raises:
        ValueError: If the dimensions or the mode are invalid.
    """

    def __init__(self, in_dims: int, out_dims: int, mode: str = 'plain') -> None:
        super().__init__()
        if not 1 <= out_dims <= in_dims:
            raise ValueError(f'out_dims ({out_dims}) must lie within 1 and in_dims ({in_dims})')
        if mode not in MODES:
            raise ValueError(f'mode ({mode!r}) must be one of {MODES}; off: leave pca out')
        self.in_dims = in_dims
        self.out_dims = out_dims
        self.mode = mode
        self.register_buffer('mean', torch.zeros(in_dims))
        self.register_buffer('projection', torch.zeros(out_dims, in_dims))
        self.register_buffer('fitted', torch.zeros((), dtype=torch.long))  # 0, or 1 + the mode

    @property
    def is_fitted(self) -> bool:
        """Whether the projection was fitted in this mode."""
        return int(self.fitted) == 1 + MODES.index(self.mode)

    def fit(self, features: Tensor | np.ndarray, pairs: np.ndarray | None = None) -> None:
        """Fit to features, in float64.

        Args:
            features: Of shape (N, D).
            pairs: Indices of matching features, of shape (n, 2), for ``mode='supervised'``.

        Raises:
            ValueError: If there are too few features, or no pairs for the mode.
        """
        if len(features) and features.shape[1] != self.in_dims:
            raise ValueError(f'features have {features.shape[1]} dimensions: set in_dims to that')
        if self.mode == 'supervised':
            if pairs is None:
                raise ValueError("mode='supervised' is fitted to pairs: give pairs")
            mean, projection = fit_supervised_whitening(features, pairs, self.out_dims)
        else:
            mean, projection = fit_pca(features, self.out_dims, self.mode == 'whitening')
        self.mean.copy_(mean)
        self.projection.copy_(projection)
        self.fitted.fill_(1 + MODES.index(self.mode))

    def forward(self, x: Tensor) -> Tensor:
        """Project features, always in float32.

        Args:
            x: Features of shape (N, D).

        Returns:
            Tensor: Of shape (N, out_dims).

        Raises:
            RuntimeError: If the projection was not fitted.
        """
        # Raises RuntimeError; unlike an if, the check remains in an exported program.
        torch._check(
            self.fitted.item() == 1 + MODES.index(self.mode),
            lambda: (
                f"PCAProjection(mode='{self.mode}') has not been fitted to the weights of the "
                "model: add dict(type='FitPCAHook') to custom_hooks, or take a checkpoint that "
                'was saved with a fitted one'
            ),
        )
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(x.float() - self.mean.float(), self.projection.float())

    def extra_repr(self) -> str:
        """Return the settings as text for ``repr``."""
        return f'in_dims={self.in_dims}, out_dims={self.out_dims}, mode={self.mode!r}'
