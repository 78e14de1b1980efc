"""Guards over texts: docstrings agree with signatures, and documents name only what exists."""

import doctest
import importlib
import inspect
import pkgutil
import re
import runpy
from pathlib import Path

import pytest

import vit_plugins
from vit_plugins import __main__ as command
from vit_plugins.benchmarks.report import fill_benchmarks
from vit_plugins.studies.page import fill_page, write_plots

ROOT = Path(__file__).parents[2]
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def public_objects():
    """Yield name and object of each public class, function and method defined in the package."""
    for info in pkgutil.walk_packages(vit_plugins.__path__, 'vit_plugins.'):
        module = importlib.import_module(info.name)
        for name, item in vars(module).items():
            ours = getattr(item, '__module__', None) == info.name
            if not ours or name.startswith('_') or not (inspect.isclass(item) or callable(item)):
                continue
            yield f'{info.name}.{name}', item
            if inspect.isclass(item):
                for key, method in vars(item).items():
                    if inspect.isfunction(method) and not key.startswith('_'):
                        yield f'{info.name}.{name}.{key}', method


OBJECTS = dict(public_objects())


def parameters(item):
    """Return the parameter names without self, and whether some are variadic."""
    try:
        found = list(inspect.signature(item).parameters.values())
    except ValueError:  # of a built-in base class
        return [], True
    names = [p.name for p in found if p.kind not in VARIADIC and p.name not in ('self', 'cls')]
    return names, len(found) > len(names) + (bool(found) and found[0].name in ('self', 'cls'))


def documented(item):
    """Return the names under ``Args:``, or None if there is no such section."""
    section = re.search(r'^Args:\n(.*?)(?=^\S|\Z)', inspect.getdoc(item) or '', re.M | re.S)
    return section and re.findall(r'^    (\w+(?:, \w+)*):', section[1], re.M)


def is_documented(item):
    """Check that there is a docstring and that it lists the arguments of the signature."""
    if not (vars(item).get('__doc__') if inspect.isclass(item) else item.__doc__):
        return False
    written = documented(item)
    if written is None:
        return True
    written = [word for line in written for word in line.split(', ')]
    names, variadic = parameters(item)
    if variadic:  # those that a base class takes may be told, in any place
        written = [word for word in written if word in names]
    return written == names


def test_args_of_docstrings_are_those_of_signatures():
    assert [name for name, item in OBJECTS.items() if not is_documented(item)] == []


@pytest.mark.slow
def test_examples_print_what_they_say():
    names = {getattr(item, '__module__', '') for item in OBJECTS.values()}
    modules = [importlib.import_module(name) for name in names if name.startswith('vit_plugins')]
    results = [doctest.testmod(module) for module in modules]
    assert sum(result.attempted for result in results) > 0
    assert sum(result.failed for result in results) == 0


FUNCTIONS = [  # of two arguments or more: the summary can tell a single one
    name
    for name, item in OBJECTS.items()
    if inspect.isfunction(item) and '.' not in item.__qualname__ and len(parameters(item)[0]) > 1
]


def test_functions_tell_their_args():
    assert [name for name in FUNCTIONS if not documented(OBJECTS[name])] == []


DOCUMENTS = sorted(
    [*ROOT.glob('*.md'), *(ROOT / 'docs').glob('*.md'), *(ROOT / 'configs').rglob('*.md')]
)
# A path of ours, up to a character that makes it a pattern or a placeholder.
PATH = re.compile(r'(?<![\w/.-])((?:configs|tools|tests|vit_plugins|\.ci)/[\w./-]*\w)(?![\w{*<])')


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_name_files_that_exist(document):
    paths = set(PATH.findall(document.read_text()))
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_link_to_files_that_exist(document):
    links = re.findall(r'\]\((?!https?://)([^)#\s]+)', document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_name_commands_that_exist(document):
    command_line = r'(?:python -m vit_plugins|^vit-plugins|`vit-plugins) ([a-z][\w-]*)'
    words = set(re.findall(command_line, document.read_text(), re.MULTILINE))
    assert words <= {*command.TOOLS, 'bench', 'list', 'copy-config'}


CALL = re.compile(
    r'(?:python tools/|vit_plugins |vit-plugins )'
    r'(train|test|predict|probe|kfold|study|look|report|prune)(?:\.py)?([^\n`|]*)'
)


@pytest.fixture
def options(capsys, monkeypatch):
    """Return the options that a tool names in its help."""

    def list_options(tool):
        monkeypatch.setattr('sys.argv', [tool, '--help'])
        with pytest.raises(SystemExit):
            runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
        return set(re.findall(r'--[\w-]+', capsys.readouterr().out))

    return list_options


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_use_options_that_exist(document, options):
    for tool, words in CALL.findall(document.read_text()):
        used = set(re.findall(r'--[a-z][\w-]+', words))
        assert used <= options(f'{tool}.py'), f'tools/{tool}.py {words}'


def test_tables_and_plots_of_the_evidence_are_those_of_its_records():
    page = ROOT / 'docs' / 'evidence.md'
    assert fill_page(page.read_text(), ROOT) == page.read_text(), 'run python tools/evidence.py'
    assert write_plots(page.read_text(), ROOT, only_check=True) == [], (
        'run python tools/evidence.py'
    )


@pytest.mark.parametrize('name', ['performance.md', 'scaling.md'])
def test_tables_of_speed_are_those_of_the_measurements(name):
    text = (ROOT / 'docs' / name).read_text()
    assert fill_benchmarks(text, ROOT) == text, 'run python tools/evidence.py'
