"""What came out, as a value: findings, tables, pages; for Python and for the command line alike.

`collocode.report` takes any result of this package.  A `Report` prints itself, and says the same as
plain values, JSON, Markdown, one HTML page, or a folder of files.
"""

from .parts import Column, Facts, Finding, Heading, Lever, Severity, Table, Words
from .record import Asked, Report
from .report import findings, report
from .text import as_text

__all__ = [
    "Asked",
    "Column",
    "Facts",
    "Finding",
    "Heading",
    "Lever",
    "Report",
    "Severity",
    "Table",
    "Words",
    "as_text",
    "findings",
    "report",
]
