"""Recognise our commands and read their arguments before torch is loaded.

The modules of this folder import the standard library only, so that ``--help`` and wrong
arguments are answered at once.
"""
