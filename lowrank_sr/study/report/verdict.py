"""A claim, the verdict on it, and how verdicts follow from answers that may be missing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

AGREES, IN_PART, DISAGREES = "agrees", "agrees in part", "does not agree"
NOT_DECIDED = "not decided by these measurements"

Answer = bool | None
"""Whether a measurement bears a claim out; None where it does not decide that."""


@dataclass(frozen=True)
class Verdict:
    """Whether a claim agrees with the measurements, what they are, and the rule; `why` they cannot be judged, if so.

    `short` says on one line what was found.
    """

    verdict: str
    short: str
    found: str
    rule: str
    why: str


@dataclass(frozen=True)
class Claim:
    """A claim by its title, in the poster's words, and the verdict on it."""

    claim: str
    poster: str
    measured: Verdict


def together(answers: Sequence[Answer], short: str, found: str, rule: str, trouble: str | None = None) -> Verdict:
    """The verdict: agrees or does not where all answers say so, in part where some do; not decided where there is
    trouble, or none, or one is missing that could change it."""
    if trouble or not answers:
        return Verdict(NOT_DECIDED, short, found, rule, trouble or "")
    if True in answers and False in answers:
        return Verdict(IN_PART, short, found, rule, "")
    decided = AGREES if all(answers) else DISAGREES
    return Verdict(NOT_DECIDED if None in answers else decided, short, found, rule, "")


def every(answers: Iterable[Answer]) -> Answer:
    """Whether all say so; no where one says no, else None where one is missing."""
    given = list(answers)
    return False if False in given else None if None in given else True


def rule_of(count: int, what: str) -> str:
    """How `together` combines so many answers, for the rule of a claim: `what` they are of, in the plural."""
    if count == 2:
        return f"agrees where both {what} bear it out, in part where one does and the other does not"
    several = f"agrees where all {count} {what} bear it out, in part where some do and others do not"
    return "one answer decides" if count == 1 else several


def counted(count: int, noun: str) -> str:
    """A number with its noun, in the plural but for one."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(words: Iterable[str]) -> str:
    """Words with commas between them, and "and" before the last; semicolons where there are commas within."""
    *first, last = words
    comma, end = ("; ", "; and ") if any("," in word for word in (*first, last)) else (", ", " and ")
    return f"{comma.join(first)}{end}{last}" if first else last


def between(values: Iterable[float], digits: int) -> str:
    """The least and the greatest of some values, "1.48 to 1.64", or the one that both are."""
    given = list(values)
    low, high = (f"{value:.{digits}f}".replace("inf", "∞") for value in (min(given), max(given)))
    return low if low == high else f"{low} to {high}"
