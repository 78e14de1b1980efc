"""Create the parser of a tool."""

import argparse


def tool_parser(about: str, epilog: str | None = None) -> argparse.ArgumentParser:
    """Return a parser whose help shows texts with the line breaks that they have.

    Args:
        about: What the tool does, as a rule its docstring.
        epilog: A text after the options.
    """
    return argparse.ArgumentParser(
        description=about, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
