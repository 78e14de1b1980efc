"""A reader of pickles that knows what it may name and what it may fill."""

import pickle

# They call or fill objects in ways that no file of torch or numpy needs.
_LEFT_OUT = (
    pickle.NEWOBJ_EX,
    pickle.INST,
    pickle.OBJ,
    pickle.EXT1,
    pickle.EXT2,
    pickle.EXT4,
)


class RefusedError(pickle.UnpicklingError):
    """A file asks a name of the list for what it is not there for."""


class AllowListUnpickler(pickle._Unpickler):
    """Reads pickles; subclasses say in ``find_class`` what a file may name.

    Python's own reader in C fills any object with any state, the classes and functions of the
    list too. That step can be looked at in the one in Python only.
    """

    # Classes whose instances take a state.
    buildable: tuple[type, ...] = ()
    dispatch = {
        code: read
        for code, read in pickle._Unpickler.dispatch.items()
        if code not in [left_out[0] for left_out in _LEFT_OUT]
    }

    def load_build(self) -> None:
        """Set the state of an object."""
        kind = type(self.stack[-2])
        if kind not in self.buildable:
            raise RefusedError(
                f'refused GLOBAL {kind.__module__}.{kind.__qualname__} on a state of its own'
            )
        super().load_build()

    dispatch[pickle.BUILD[0]] = load_build
