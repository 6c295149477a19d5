"""Text that means what it looks like: two names that look the same are the same."""

from __future__ import annotations

import unicodedata

from functools import cache
from typing import NoReturn


HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
"""Categories that nobody sees, or that nobody can tell from a space."""
TOGETHER = (
    frozenset({"LATIN", "HAN", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "HAN", "BOPOMOFO"}),
    frozenset({"LATIN", "HAN", "HANGUL"}),
)
"""Scripts that are written side by side (UTS 39, highly restrictive)."""
ANYWHERE = frozenset({"COMMON", "INHERITED"})


class TargetError(ValueError):
    """What an operation is to act on cannot be told for certain; nothing was done."""


def refuse(expected: str, seen: str, advice: str) -> NoReturn:
    """Raise the error of a target; no part of the target stands in it, which may be hostile."""
    msg = f"expected {expected}, seen {seen}; {advice}"
    raise TargetError(msg)


def check_segment(text: str) -> None:
    """Hold a name between two strokes to being one name.

    Raises:
        TargetError: it is empty, it leads elsewhere, or it is not what it looks like.

    """
    if text.split(";", maxsplit=1)[0] in {".", ".."}:
        refuse("names between strokes", "dots that lead elsewhere", "write the whole path")
    if not text or text.endswith("."):
        refuse("names between strokes", "an empty one, or a dot at the end", "leave it out")
    if why := flaw(text):
        refuse("a name that is what it looks like", why, "write it composed, in one script")


def flaw(text: str) -> str:
    """Return why a name may not be what it looks like, or an empty string."""
    if text.isascii() and text.isprintable() and " " not in text:
        return ""
    if any(unicodedata.category(each) in HIDDEN for each in text):
        return "a character that is not seen (a control, a space, a mark of direction)"
    if not unicodedata.is_normalized("NFC", text):
        return "characters that are not composed (NFC)"
    if not unicodedata.is_normalized("NFKC", text):
        return "a character that stands for another one (NFKC)"
    scripts = frozenset(_script(each) for each in text) - ANYWHERE
    if len(scripts) > 1 and not any(scripts <= together for together in TOGETHER):
        return f"scripts that are not written together ({', '.join(sorted(scripts))})"
    letters = [each for each in text if each.isalpha()]
    if scripts and "LATIN" not in scripts and all(_like_ascii(each) for each in letters):
        return "letters that all look like Latin ones"
    return ""


@cache
def _script(letter: str) -> str:
    # Its tables take 0.1 s to read, and most names are ASCII.
    from confusable_homoglyphs import categories  # type: ignore[import-untyped]  # noqa: PLC0415

    return str(categories.alias(letter))


@cache
def _like_ascii(letter: str) -> bool:
    from confusable_homoglyphs import confusables  # noqa: PLC0415 - see above

    found = confusables.is_confusable(letter, greedy=True) or []
    return any(twin["c"].isascii() for each in found for twin in each["homoglyphs"])
