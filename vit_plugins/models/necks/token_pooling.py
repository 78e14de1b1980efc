"""Pool the tokens or the map of an image to one vector."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from .._precision import at_least_float32
from ._patch_tokens import patch_tokens

MODES = ('cls', 'avg', 'max', 'gem', 'cls_avg')
TOKENS = ('cls', 'dist', 'mean')


def generalized_mean(tokens: Tensor, p: float | Tensor = 3.0, eps: float = 1e-6) -> Tensor:
    """Pool by the generalized mean, (mean_m x_m^p)^(1/p) with x = max(x, eps).

    Powers need a positive base, so values below ``eps`` count as ``eps``. After a ReLU no value is
    changed by this; for tokens after a LayerNorm it changes about half of all values.

    Args:
        tokens: Shape (N, M, D).
        p: 1 is the mean of the clamped values; the larger, the closer to the maximum.
        eps: Lower bound of the values.

    Returns:
        Shape (N, D), float32 or float64.

    >>> generalized_mean(torch.tensor([[[1.0], [2.0], [-5.0]]]))  # (9 / 3)^(1/3)
    tensor([[1.4422]])
    """
    return at_least_float32(tokens).clamp(min=eps).pow(p).mean(1).pow(1 / p)


@MODELS.register_module()
class TokenPooling(BaseModule):
    """Pool the last output of any backbone to one vector per image, without normalising it.

    It takes what backbones return: the class token (N, D); raw tokens (N, L, D), extra tokens
    first; a map (N, D, H, W); the pair (class token, distillation token) of
    ``DistilledVisionTransformer``. As IRT (El-Nouby et al., arXiv 2102.05644, section 3.1):
    ``'cls'`` is the default, ``'avg'``, ``'max'`` and ``'gem'`` pool the patches and leave the
    extra tokens out. ``'cls_avg'`` is the class token followed by the mean of the patches, a
    vector of twice the width, as in the linear evaluation of DINOv2 (arXiv 2304.07193).

    GeM clamps negative values, see :func:`generalized_mean`.

    Args:
        mode: ``'cls'``, ``'avg'``, ``'max'``, ``'gem'`` or ``'cls_avg'``.
        which: For a distilled model with ``mode='cls'``: ``'cls'``, ``'dist'``, or ``'mean'``,
            the average of both. As in the reference results, the distillation token is ignored by
            default.
        num_extra_tokens: Class and distillation tokens in front of raw tokens.
        p: Exponent of GeM.
        learn_p: Train the exponent.
        eps: Lower bound of GeM's values.
        init_cfg: Initialisation config.

    Raises:
        ValueError: If an argument is out of range or has no effect, or if the backbone's output
            has nothing that the mode could pool.
    """

    def __init__(
        self,
        mode: str = 'cls',
        which: str = 'cls',
        num_extra_tokens: int = 1,
        p: float = 3.0,
        learn_p: bool = False,
        eps: float = 1e-6,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if mode not in MODES:
            raise ValueError(f'mode ({mode!r}) must be one of {MODES}')
        if which not in TOKENS:
            raise ValueError(f'which ({which!r}) must be one of {TOKENS}')
        if which != 'cls' and mode != 'cls':
            raise ValueError(
                f'which={which!r} names extra tokens, mode={mode!r} pools the patches: set '
                "mode='cls'"
            )
        if not num_extra_tokens >= 0:
            raise ValueError(f'num_extra_tokens ({num_extra_tokens}) must not be negative')
        if mode == 'cls_avg' and num_extra_tokens == 0:
            raise ValueError(
                "mode='cls_avg' needs a class token: set num_extra_tokens to 1 or more"
            )
        if learn_p and mode != 'gem':
            raise ValueError(f"learn_p=True has no effect with mode={mode!r}: set mode='gem'")
        if not p >= 1:
            raise ValueError(f'p ({p}) must be at least 1')
        if not eps > 0:
            raise ValueError(f'eps ({eps}) must be positive')
        self.mode = mode
        self.which = which
        self.num_extra_tokens = num_extra_tokens
        self.eps = eps
        self.p = nn.Parameter(torch.tensor(float(p))) if learn_p else p

    def forward(self, feats: Sequence | Tensor) -> tuple[Tensor]:
        """Pool the last of the outputs.

        Args:
            feats: Outputs of a backbone, or a single one.

        Returns:
            One tensor (N, D) in a tuple, as the host's necks return it; (N, 2 * D) if
            ``'cls_avg'``.
        """
        last = feats if isinstance(feats, Tensor) else feats[-1]
        if self.mode == 'cls':
            return (self._class_token(last),)
        if self.mode == 'cls_avg':
            self._check_raw(last)
            return (torch.cat((self._class_token(last), self._pool(last)), dim=1),)
        return (self._pool(last),)

    def _check_raw(self, last: Tensor | Sequence[Tensor]) -> None:
        if not isinstance(last, Tensor) or last.ndim != 3:
            got = f'features {tuple(last.shape)}' if isinstance(last, Tensor) else 'a tuple'
            raise ValueError(
                f"mode='cls_avg' needs raw tokens (N, L, D), got {got}: set the backbone's "
                "out_type to 'raw', or another mode in TokenPooling"
            )

    def _class_token(self, last: Tensor | Sequence[Tensor]) -> Tensor:
        if isinstance(last, Tensor) and last.ndim == 2:
            last = (last,)
        elif isinstance(last, Tensor) and last.ndim == 3:
            last = last[:, : self.num_extra_tokens].unbind(1)  # each (N, D)
        elif isinstance(last, Tensor):
            raise ValueError(
                f"a map {tuple(last.shape)} has no class token: set the backbone's out_type to "
                "'cls_token' or 'raw', or mode='avg', 'max' or 'gem' in TokenPooling"
            )
        needed = 1 if self.which == 'cls' else 2
        if len(last) < needed or any(token.ndim != 2 for token in last):
            shapes = ', '.join(str(tuple(token.shape)) for token in last) or 'none'
            raise ValueError(
                f'which={self.which!r} needs {needed} extra token(s) of shape (N, D), got '
                f"{shapes}: set which='cls' unless the backbone is distilled, and "
                f'num_extra_tokens (now {self.num_extra_tokens}) to what stands before raw tokens'
            )
        if self.which == 'mean':
            return (last[0] + last[1]) / 2
        return last[TOKENS.index(self.which)]

    def _pool(self, last: Tensor | Sequence[Tensor]) -> Tensor:
        reader, otherwise = f'mode={self.mode!r}', ", or mode='cls' in TokenPooling"
        tokens = patch_tokens(last, self.num_extra_tokens, reader, otherwise)  # (N, M, D)
        if self.mode in ('avg', 'cls_avg'):
            return tokens.mean(1)
        if self.mode == 'max':
            return tokens.amax(1)
        return generalized_mean(tokens, self.p, self.eps)

    def extra_repr(self) -> str:
        """Return the settings, to print."""
        text = f'mode={self.mode}, num_extra_tokens={self.num_extra_tokens}'
        if self.mode == 'cls':
            return f'{text}, which={self.which}'
        return text + (f', p={float(self.p):g}, eps={self.eps}' if self.mode == 'gem' else '')
