"""The release report: one HTML file that opens from disk and shows what a release holds.

`write_report` is the only door. Nothing heavy is imported before it is called.
"""

from __future__ import annotations

from customer_marts.report.page import write_report

__all__ = ["write_report"]
