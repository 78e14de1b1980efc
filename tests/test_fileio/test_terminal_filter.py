import io
import logging

from vit_plugins.fileio.terminal_filter import quieten


def test_long_texts_go_to_the_file_only(tmp_path):
    logger = logging.Logger('own')
    terminal, file = logging.StreamHandler(io.StringIO()), logging.FileHandler(tmp_path / 'log')
    logger.addHandler(terminal)
    logger.addHandler(file)
    quieten(logger)
    quieten(logger)
    assert len(terminal.filters) == 1
    config = 'Config:\n' + 'a = 1\n' * 30
    for line in (config, 'paramwise_options -- head.bias:weight_decay=0.0', 'Epoch(val) [1]'):
        logger.info(line)
    logger.warning('layers.0.attn.pos_proj.bias is skipped since its requires_grad=False')
    logger.warning('Careful\n' * 30)
    logger.info('Report\n' * 30, extra=dict(shown=True))
    shown = terminal.stream.getvalue()
    assert 'Config' not in shown
    assert 'paramwise' not in shown
    assert 'skipped' not in shown
    assert all(word in shown for word in ('Epoch(val)', 'Careful', 'Report'))
    assert config in (tmp_path / 'log').read_text()
