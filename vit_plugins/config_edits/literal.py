"""Write a config as one file that does not need any other."""

from __future__ import annotations

from mmengine.config import Config

from .component_arguments import RUNNER_KEYS
from .recipe_variables import TOOL_KEYS


def literal_text(cfg: Config, header: str = '') -> str:
    """Return a config as the text of one file with everything written out.

    Variables of the recipe are left out, because nothing reads them any more.

    Args:
        cfg: The config.
        header: Lines for a comment at the top.
    """
    # the steps are values of variables that are left out
    known = RUNNER_KEYS | TOOL_KEYS - {'machine_steps'}
    kept = {key: value for key, value in cfg.to_dict().items() if key in known}
    comment = ''.join(f'# {line}'.rstrip() + '\n' for line in header.splitlines())
    return comment + Config(kept).pretty_text
