"""Write complete files, lock them, and print names in any alphabet."""

from .atomic_backend import AtomicLocalBackend

__all__ = ['AtomicLocalBackend']
