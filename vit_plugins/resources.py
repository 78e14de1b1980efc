"""Where configs, tools and the model index are: beside the package or inside it."""

import contextlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def resource_root() -> Path:
    """Return the folder that holds ``configs/``, ``tools/`` and ``model-index.yml``.

    A wheel carries them in ``vit_plugins/.mim``, where the host's own tools look too; with an
    editable install or a plain checkout they stand beside the package.

    Raises:
        FileNotFoundError: Neither place has them.
    """
    package = Path(__file__).resolve().parent
    for root in (package / '.mim', package.parent):
        if (root / 'model-index.yml').is_file():
            return root
    raise FileNotFoundError(
        f'vit_plugins in {package} came without its configs: reinstall it from a wheel or a '
        'complete checkout (pip install --force-reinstall --no-deps ...).'
    )


def package_version() -> str:
    """Return the version of this package; '0+unknown' of a copy that is not installed."""
    try:
        return version('vit-plugins')
    except PackageNotFoundError:
        return '0+unknown'


def installed_versions() -> dict[str, str]:
    """Return the versions of this package and of those that its numbers depend on, by name."""
    found = {'vit-plugins': package_version()}
    for name in ('torch', 'torchvision', 'mmpretrain', 'mmengine', 'numpy'):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
