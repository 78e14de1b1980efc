"""A logger of MMEngine is silent inside the context, also if used before, and not afterwards."""

import logging

from mmengine.logging import MMLogger

from vit_plugins.fileio.quiet_log import without_information


def test_information_is_left_out_and_warnings_are_not(capsys):
    logger = MMLogger.get_instance('quiet')
    logger.info('before')
    with without_information():
        logger.info('within')
        logger.warning('a warning')
    logger.info('after')
    told = capsys.readouterr()
    lines = (told.out + told.err).splitlines()
    assert [line.rsplit(' - ', 1)[-1] for line in lines] == ['before', 'a warning', 'after']
    assert logger.level == logging.NOTSET or logger.isEnabledFor(logging.INFO)
