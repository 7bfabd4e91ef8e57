"""What is left of the objects that a piece of code makes."""

import weakref


def kept_of(patch, owner):
    """References, that keep nothing alive, to all that a class makes from now on."""
    kept, make = [], owner.__init__

    def make_and_note(self, *args, **kwargs):
        make(self, *args, **kwargs)
        kept.append(weakref.ref(self))

    patch.setattr(owner, "__init__", make_and_note)
    return kept
