"""What MMPretrain needs around it, and what is set before torch is loaded."""

from .check import HostError, check_host, host_conflict, host_problem, import_hint

__all__ = ['HostError', 'check_host', 'host_conflict', 'host_problem', 'import_hint']
