"""Samplers: in which order, and how often, images are drawn."""

from .class_balanced_sampler import ClassBalancedSampler

__all__ = ['ClassBalancedSampler']
