"""How the threads of an operation wait for each other in the commands of this package.

GNU's OpenMP, which torch uses on Linux, lets a thread that waits for another one spin some
milliseconds before it sleeps. On a machine that has other work, the one that is waited for may
not run at all meanwhile, and a step takes ten times as long and more. A thread that sleeps at
once wastes nothing, yet each wake-up costs. Spinning for some microseconds is fast either way.
A step of ``configs/convit_drloc_digits.py`` (torch 2.14, two threads on two cores, seconds)::

    GOMP_SPINCOUNT       nothing else runs   load of five
    not set              0.025               1.04
    30000                0.025               0.14 to 0.94
    3000                 0.025               0.19
    1000                 0.027               0.11 to 0.18
    300                  0.033               0.13
    OMP_WAIT_POLICY=PASSIVE  0.038           0.08 to 0.10
    OMP_NUM_THREADS=1    0.033               0.05 to 0.07

The library reads the variable when it is loaded, hence before torch is imported.
"""

import os
import sys
from collections.abc import MutableMapping

from ..command_line.own_process import is_own_command

SPINS = '1000'
CHOICES = ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY')


def spin_briefly(environment: MutableMapping[str, str]) -> None:
    """Set how long threads spin, unless the user has chosen that.

    Args:
        environment: The environment of this process.
    """
    if not any(name in environment for name in CHOICES):
        environment['GOMP_SPINCOUNT'] = SPINS


if is_own_command(sys.argv, sys.orig_argv):
    spin_briefly(os.environ)
