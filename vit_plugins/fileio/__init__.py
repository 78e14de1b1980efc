"""Files that are written whole, locked, and named in any alphabet."""

from .atomic_backend import AtomicLocalBackend

__all__ = ['AtomicLocalBackend']
