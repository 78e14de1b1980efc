from .portable_fsdp_strategy import PortableFSDPStrategy

__all__ = ['PortableFSDPStrategy']
