"""What each command does once its arguments are read; `tools/` reads them."""

from ... import register

register()
