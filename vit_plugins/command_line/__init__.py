"""What our commands do before torch is loaded: whether this is one of them, and its arguments.

The modules of this folder import the standard library only, so that ``--help`` and wrong
arguments are answered at once.
"""
