"""A sentence that fits and verdicts tell, in both languages of the marts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Told:
    """One sentence in English and in Chinese, made where its figures are known."""

    text_en: str
    text_zh: str

    @classmethod
    def joined(cls, sentences: Iterable[Told]) -> Told:
        """Several sentences as one, in either language."""
        told = tuple(sentences)
        return cls(
            "; ".join(each.text_en for each in told), "、".join(each.text_zh for each in told)
        )
