"""Import a file of tools/, which is no package."""

import importlib.util
from pathlib import Path
from types import ModuleType

TOOLS = Path(__file__).parents[1] / 'tools'


def load_tool(name: str) -> ModuleType:
    """Run a tool's file as a new module; its name is the path below ``tools`` without ending."""
    spec = importlib.util.spec_from_file_location(f'tool_{Path(name).name}', TOOLS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
