"""Metadata, and the copying of configs, tools and model index into the wheel.

The version is that of the git tag (see ``pyproject.toml``).
"""

import re
import shutil
from pathlib import Path

import setuptools_scm  # noqa: F401  (without it setuptools would build version 0.0.0 in silence)
from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
RESOURCES = ('configs', 'tools', 'model-index.yml')

# Lower bounds only: installing the plugin must not replace what an OpenMMLab environment has.
# 2.1 is the oldest torch whose wheels agree with numpy 1.26, the oldest numpy with `np.dtypes`
# and wheels for Python 3.12; torchvision is named because the host imports it undeclared.
# Jinja2, for the report page, comes with torch.
REQUIRED = ['torch>=2.1', 'torchvision>=0.16', 'numpy>=1.26', 'jinja2>=3.1']

EXTRAS = {
    # For a fresh machine. Where MMPretrain already is (mmcv or mmcv-lite, or the onedl forks with
    # other distribution names) this extra would clobber it: leave it out there.
    'host': [
        'mmpretrain>=1.2.0',  # the configs use its names and its batch augmentations
        'mmengine>=0.10.7',  # the oldest that is tested
        'mmcv-lite>=2.1.0',  # the oldest that is tested; mmcv proper has no wheels for new torch
        'scikit-learn>=1.3.1',  # the digits; released beside torch 2.1, as safetensors 0.4
        'safetensors>=0.4',
    ],
    'retrieval': ['faiss-cpu>=1.9'],  # tools/retrieve.py; the first for numpy 1 and 2
    'test': [
        'pytest>=8',
        'pytest-xdist>=3.5',  # the fast tests in two processes
        'hypothesis>=6.168',  # generated examples, tests/properties.py; the oldest that was tried
        'timm>=1.0',  # the oracle of ConViT's and DeiT III's numbers
        'pytorch-metric-learning>=2.9',  # of retrieval's, as faiss; the oldest that was tried
        'tensorboard>=2.14',
        'setuptools>=70.1',  # builds wheels without the wheel package
        'setuptools-scm>=8.1',  # as in pyproject.toml, for builds without isolation
    ],
    # the search page in Chromium; the version that was tried
    'browser': ['playwright>=1.65'],
    # tools/export.py; the versions that were tried. torch.onnx.export needs onnxscript.
    'export': [
        'onnx>=1.23',
        'onnxruntime>=1.32',
        'onnxscript>=0.7.2',
        'safetensors>=0.4',
    ],
    # GradCAM of tools/look.py; the version that was tried. grad-cam would put the files of
    # opencv-python-headless over those of the opencv-python that MMEngine brings.
    'look': ['captum>=0.9'],
    'lint': ['ruff==0.17.5'],  # as in .pre-commit-config.yaml, by test
}
# What a trained model needs and what the tests need. Heavy tools that few people use (export,
# documentation, browsers) get extras of their own and stay out of it.
EXTRAS['all'] = EXTRAS['host'] + EXTRAS['retrieval'] + EXTRAS['test']


def description() -> str:
    """Return the README for a package index, which shows no other files of the repository."""
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    text = re.sub(r'!\[[^]]*]\((?!https?:)[^)]+\)\n*', '', text)  # pictures
    return re.sub(r'\[([^]]+)]\((?!https?:)[^)]+\)', r'\1', text)  # links keep their words


class BuildWithResources(build_py):
    """Put the resources where ``vit_plugins.resources.resource_root`` finds them in a wheel."""

    def run(self) -> None:
        """Build as usual; an editable install reads the checkout instead."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / 'vit_plugins' / '.mim'
        shutil.rmtree(target, ignore_errors=True)  # of an earlier build
        target.mkdir(parents=True)
        for name in RESOURCES:
            if (ROOT / name).is_dir():
                ignore = shutil.ignore_patterns('__pycache__', '*.pyc')
                shutil.copytree(ROOT / name, target / name, ignore=ignore)
            else:
                shutil.copy2(ROOT / name, target / name)


setup(
    name='vit-plugins',
    description='Vision transformers that learn from little data, as a plugin of MMPretrain',
    long_description=description(),
    long_description_content_type='text/markdown',
    author='The contributors of vit_plugins',
    license='Apache-2.0',
    keywords=['vision transformer', 'mmpretrain', 'openmmlab', 'small data', 'image retrieval'],
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Intended Audience :: Developers',
        'Operating System :: OS Independent',
        'Programming Language :: Python :: 3',
        *(f'Programming Language :: Python :: 3.{minor}' for minor in range(10, 14)),
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
        'Typing :: Typed',
    ],
    # 3.14 has no `pkgutil.find_loader`, which MMEngine 0.10 calls; no 3.14 was at hand to prove
    # that a shim is all it takes.
    python_requires='>=3.10,<3.14',
    packages=find_packages(include=['vit_plugins', 'vit_plugins.*']),
    package_data={'vit_plugins': ['py.typed'], 'vit_plugins.report': ['templates/*']},
    install_requires=REQUIRED,
    extras_require=EXTRAS,
    cmdclass={'build_py': BuildWithResources},
    entry_points={'console_scripts': ['vit-plugins = vit_plugins.__main__:main']},
    zip_safe=False,
)
