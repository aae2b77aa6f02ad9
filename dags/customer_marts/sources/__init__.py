"""Connectors: each turns one feed of a source into one raw Parquet file, values as the source
gave them. Typing, rules and quarantine come after, the same for all (``landing``).
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from customer_marts.feeds import Company, DatabaseSource, FilesSource
from customer_marts.settings import Settings
from customer_marts.sources.extract import Extract, Watermark


def extract(
    settings: Settings, company: Company, feed: str, watermark: Watermark, work: Path, now: datetime
) -> Extract | None:
    """Pull what is new in ``feed`` since ``watermark`` into ``work``; None when nothing is.

    now: the run's moment (aware), by which files settle and keys fall due for reconciliation.

    Raises SourceUnavailable (infrastructure) or BatchFault (the whole input is unusable).
    """
    mapping = company.feeds[feed]
    source = company.sources[mapping.source]
    if isinstance(source, DatabaseSource):
        from customer_marts.sources.database import extract_database

        return extract_database(settings, feed, mapping, source, watermark, work, now)
    if isinstance(source, FilesSource):
        from customer_marts.sources.files import extract_files

        return extract_files(settings, feed, mapping, source, watermark, work, now)
    from customer_marts.sources.rest import extract_rest

    return extract_rest(settings, feed, mapping, source, watermark, work)
