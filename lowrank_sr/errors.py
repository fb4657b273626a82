"""The one error that a user is meant to read."""


class InputError(ValueError):
    """Something given by the user cannot be used; the message is one sentence that names it and says what was expected."""
