"""The one error that a user is meant to read."""


class InputError(ValueError):
    """Something given by the user cannot be used; the message is one sentence: which, why, and what was expected."""
