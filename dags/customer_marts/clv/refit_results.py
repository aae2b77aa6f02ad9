"""What a fit came to, whichever model was fitted."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

KEPT_DECIMALS = 6


@dataclass(frozen=True)
class Refit:
    """What a fit came to. artefact: JSON of what was fitted, None where nothing was.

    version: the artefact's hash; without one, that of what was found instead.
    """

    fit_status: str
    artefact: str | None
    is_promoted: bool
    verdict_en: str
    verdict_zh: str
    measures: str

    @property
    def version(self) -> str:
        told = self.artefact or self.fit_status + self.measures
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def as_json(found: dict[str, Any]) -> str:
    """Measures as JSON: figures to six decimals; what is not a number is not known."""
    return json.dumps(_kept(found), sort_keys=True, ensure_ascii=False, allow_nan=False)


def _kept(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _kept(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_kept(each) for each in value]
    if isinstance(value, float):
        return round(value, KEPT_DECIMALS) if np.isfinite(value) else None
    return value
