"""JSON and YAML from unknown sources: limited in size, with one type of error."""

import json

import pytest
import yaml

from vit_plugins.fileio.text_documents import DocumentError, read_json, read_yaml

LAUGHS = 'a0: &a0 [x, x]\n' + ''.join(
    f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 10)}]\n' for i in range(1, 12)
)


@pytest.mark.parametrize(
    'text', ['a: &b [1, 2]\nc: *b\n', '- 1\n- {x: [y, null]}\n', '', 'a: &b 1\nb: *b\nc: *b']
)
def test_yaml_as_it_is(text, tmp_path):
    (tmp_path / 'a.yaml').write_text(text)
    assert read_yaml(tmp_path / 'a.yaml') == yaml.safe_load(text)
    (tmp_path / 'b.yaml').write_bytes(b'\xef\xbb\xbf' + text.encode())
    assert read_yaml(tmp_path / 'b.yaml') == yaml.safe_load(text)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (LAUGHS, 'holds more than 100,000 things'),
        ('[' * 10_000, 'nested more than 50 deep'),
        ('a: ' * 3 + '[', 'is not YAML'),
        ('a: &x [*x]', 'repeats what is not there yet'),
        ('a: &x 1\nb: &x [*x]', 'repeats what is not there yet'),
        ('!!python/object/apply:os.system [true]', 'is not YAML: ConstructorError'),
        ('!!bool maybe', 'is not YAML: KeyError'),
        ("!!int ''", 'is not YAML: '),
        ('2001-99-99', 'is not YAML: ValueError: month'),
        ('? [a]\n: b', 'is not YAML'),
        (b'\xff\xfe', 'is not YAML: UnicodeDecodeError'),
        ('\0', 'is not YAML: ReaderError'),
    ],
)
def test_yaml_refused(text, message, tmp_path):
    (tmp_path / 'a.yaml').write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DocumentError, match=rf'a\.yaml.* {message}|a\.yaml {message}'):
        read_yaml(tmp_path / 'a.yaml')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'[' * 100_000, 'nested too deeply'),
        (b'[' * 60 + b']' * 60, 'nested more than 50 deep'),
        (b'{"a": 1', 'is no JSON: JSONDecodeError'),
        (b'9' * 10_000, 'is no JSON: ValueError'),
        (b'\xff', 'is no JSON: UnicodeDecodeError'),
        (b'', 'is no JSON'),
    ],
)
def test_json_refused(content, message, tmp_path):
    (tmp_path / 'a.json').write_bytes(content)
    with pytest.raises(DocumentError, match=message):
        read_json(tmp_path / 'a.json')


def test_json_as_it_is(tmp_path):
    content = {'a': [1, None, {'b': 'ü'}]}
    (tmp_path / 'a.json').write_bytes(b'\xef\xbb\xbf' + json.dumps(content).encode())
    assert read_json(tmp_path / 'a.json') == content
