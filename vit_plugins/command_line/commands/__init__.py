"""Run each command after `tools/` has read its arguments."""

from ... import register

register()
