"""Whether MMPretrain can work here, and if not, the one line that mends it.

The host declares neither torchvision nor MMCV nor MMEngine as requirements and meets their absence
with a traceback from deep inside; two distributions that own one folder break on uninstalling.
"""

import re
import shlex
import time
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from traceback import walk_tb


class HostError(ImportError):
    """MMPretrain or something it needs is missing or unfit."""


@dataclass(frozen=True)
class _Part:
    """A module of the host, who distributes it, and the versions that work (high excluded)."""

    module: str
    distributions: tuple[str, ...]  # the one a fresh machine should get comes first
    low: str
    high: str | None = None

    def fits(self, version: str) -> bool:
        above = _digits(version) >= _digits(self.low)
        return above and (self.high is None or _digits(version) < _digits(self.high))

    def requirement(self, distribution: str) -> str:
        return f'"{distribution}>={self.low}' + (f',<{self.high}"' if self.high else '"')


# The bounds of mmcv and mmengine are those that mmpretrain asserts, but for mmengine's lower one:
# 0.8.3 fails our tests, as it writes no config with a yapf of today.
_PARTS = (
    _Part('torch', ('torch',), '2.1'),
    _Part('torchvision', ('torchvision',), '0.16'),
    _Part('mmengine', ('mmengine', 'mmengine-lite', 'onedl-mmengine'), '0.9.1', '1.0.0'),
    _Part('mmcv', ('mmcv-lite', 'mmcv', 'onedl-mmcv'), '2.0.0', '2.4.0'),
    _Part('mmpretrain', ('mmpretrain', 'onedl-mmpretrain'), '1.2.0'),
)


def _digits(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r'\d+', version)[:3])


def host_problem(missing: Collection[str], installed: Mapping[str, str]) -> str | None:
    """Name what keeps the host from working, with the line that mends it.

    Args:
        missing: Names of modules that cannot be found.
        installed: Distribution name to version, of those that are installed.

    Returns:
        The message, or None where all is well.
    """
    forked = any(name.startswith('onedl-') for name in installed)
    faults, remove, install = [], [], []
    for part in _PARTS:
        owners = [name for name in part.distributions if name in installed]
        wrong = [name for name in owners if not part.fits(installed[name])]
        if part.module in missing:
            faults.append(f'{part.module} is missing')
            remove += owners  # listed, yet without files: another distribution took them along
        elif wrong:
            bounds = f'>={part.low}' + (f',<{part.high}' if part.high else '')
            faults += [f'{n} {installed[n]} is not supported (needs {bounds})' for n in wrong]
            remove += wrong if len(part.distributions) > 1 else []
        else:
            continue
        fork = [name for name in part.distributions if forked and name.startswith('onedl-')]
        install.append(part.requirement((fork or part.distributions)[0]))
    if not faults:
        return None
    line = f'pip uninstall -y {" ".join(remove)} && ' if remove else ''
    return (
        f'vit_plugins works inside MMPretrain, which is not fit here: {"; ".join(faults)}. '
        f'This line mends it:\n    {line}pip install {" ".join(install)}'
    )


def host_conflict(installed: Mapping[str, str]) -> str | None:
    """Name distributions that share one folder, where uninstalling one deletes the other's files.

    Args:
        installed: Distribution name to version, of those that are installed.

    Returns:
        The message, or None where no two are installed.
    """
    for part in _PARTS:
        owners = [name for name in part.distributions if name in installed]
        if len(owners) > 1:
            keep = part.requirement(owners[0])
            return (
                f'{" and ".join(owners)} are both installed and own the same folder '
                f'{part.module}/: uninstalling one breaks the other. Keep one, for example:\n'
                f'    pip uninstall -y {" ".join(owners)} && pip install {keep}'
            )
    return None


def import_hint(error: Exception) -> str:
    """Explain an error raised by ``import mmpretrain`` itself.

    Args:
        error: What the import raised.
    """
    text = str(error)
    hint = 'See the error above; a fresh environment with pip install -e ".[all]" works.'
    if isinstance(error, TypeError) and 'NoneType takes no arguments' in text:
        hint = (
            'MMPretrain does not import where a recent transformers and pycocotools are both '
            'installed. This line mends it:\n    pip uninstall -y pycocotools'
        )
    elif 'torchvision::' in text:
        of_cpu = '+cpu' in _installed().get('torch', '')
        index = ' --index-url https://download.pytorch.org/whl/cpu' if of_cpu else ''
        hint = (
            'torchvision was built for another torch. This line mends it:\n'
            f'    pip install --upgrade --force-reinstall torch torchvision{index}'
        )
    elif isinstance(error, EOFError) and _owner(error).startswith('yapf'):
        hint = (
            'yapf, which MMEngine imports, keeps its grammar in a file that is cut off. This line '
            f'removes it; yapf writes it again:\n    rm -r {shlex.quote(_yapf_cache())}'
        )
    elif isinstance(error, AssertionError) and (wanted := _WANTED.search(text)):
        hint = _neighbour_hint(_owner(error), *wanted.groups())
    return f'MMPretrain cannot be imported ({type(error).__name__}: {text}). {hint}'


# Waits before MMEngine is imported again, see `_import_mmengine`.
_PAUSES = (0.1, 0.5, 2.0)

# What MMDetection asserts when it is imported, as MMPretrain does where it finds it.
_WANTED = re.compile(r'(MMCV|MMEngine)==\S+ is used but incompatible.* <(\d[\d.]*\d)')


def _owner(error: Exception) -> str:
    """Return the package whose line raised an error."""
    frames = [frame.f_globals.get('__name__') or '' for frame, _ in walk_tb(error.__traceback__)]
    return (frames[-1] if frames else '').partition('.')[0] or 'a package beside it'


def _yapf_cache() -> str:
    from platformdirs import user_cache_dir  # comes with yapf, which asks it the same

    return user_cache_dir('YAPF', 'Google')


def _neighbour_hint(owner: str, module: str, below: str) -> str:
    part = next(part for part in _PARTS if part.module == module.lower())
    name = next((name for name in part.distributions if name in _installed()), part.module)
    return (
        f'{owner}, which MMPretrain imports where it finds it, needs an older {module}. This line '
        f'mends it:\n    pip install "{name}>={part.low},<{below}"\n'
        f'or, if nothing here uses {owner}:\n    pip uninstall -y {owner}'
    )


def _installed() -> dict[str, str]:
    found = {}
    for name in (name for part in _PARTS for name in part.distributions):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        if version is not None:  # an interrupted installation leaves a folder without one
            found[name] = version
    return found


def _is_missing(module: str) -> bool:
    spec = find_spec(module)
    return spec is None or spec.origin is None  # a folder without files is a namespace package


def _import_mmengine() -> None:
    """Import MMEngine, also where another rank is writing the cache file of yapf.

    yapf gives that file its name while it is still empty (0.43 does), and ranks that start at once
    on a fresh machine may read it just then.
    """
    for seconds in _PAUSES:
        try:
            import_module('mmengine')
            return
        except EOFError:
            time.sleep(seconds)
    import_module('mmengine')


def check_host() -> None:
    """Import MMPretrain, or say in one message why that does not work.

    Raises:
        HostError: Something is missing, of an unsupported version, or does not import.
    """
    installed = _installed()
    problem = host_problem([p.module for p in _PARTS if _is_missing(p.module)], installed)
    if problem:
        raise HostError(problem)
    conflict = host_conflict(installed)
    if conflict:
        warnings.warn(conflict, stacklevel=4)  # the line that imports the package
    try:
        with warnings.catch_warnings():
            # mmcv-lite reminds of the one compiled operator on each import; nothing here uses it.
            warnings.filterwarnings('ignore', 'Fail to import ``MultiScaleDeformableAttention')
            _import_mmengine()
            import_module('mmpretrain.models')
    except Exception as error:
        raise HostError(import_hint(error)) from error
