"""A claim, the verdict on it, and how verdicts follow from answers that may be missing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

AGREES, IN_PART, DISAGREES = "agrees", "agrees in part", "does not agree"
NOT_DECIDED = "not decided by these measurements"

Answer = bool | None
"""Whether a measurement bears a claim out; None where it does not decide that."""


@dataclass(frozen=True)
class Verdict:
    """Whether a claim agrees with the measurements, what they are, the rule that decides, and what explains it.

    `why` holds what was tested on these measurements and found true, and is empty where nothing was.
    """

    verdict: str
    found: str
    rule: str
    why: str


@dataclass(frozen=True)
class Claim:
    """A claim by its title, in the poster's words, and the verdict on it."""

    claim: str
    poster: str
    measured: Verdict


def together(answers: Sequence[Answer]) -> str:
    """The verdict: agrees or does not where all answers say so, in part where some do; not decided where one is missing
    that could change it, or there are none."""
    if True in answers and False in answers:
        return IN_PART
    if None in answers or not answers:
        return NOT_DECIDED
    return AGREES if all(answers) else DISAGREES


def because(*reasons: tuple[bool, str]) -> str:
    """The sentences whose condition holds."""
    return " ".join(sentence for holds, sentence in reasons if holds)


def listed(words: Iterable[str]) -> str:
    """Words with commas between them, and "and" before the last."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
