"""The study of frozen features, from the command line."""

from vit_plugins.studies.frozen import study


def test_parts_of_the_help_are_those_of_the_study(frozen_tool):
    assert frozen_tool.PARTS == study.PARTS
