"""The exceptions of the toolkit.

Every message is one sentence that names the culprit and the remedy, so that it can be shown to a
user as it stands.  A solve that stops early is *not* an error: it returns its best iterate with an
honest status (see `collocode.results.status`).
"""


class CollocodeError(Exception):
    """Base class of everything this toolkit raises on purpose."""


class InputError(CollocodeError, ValueError):
    """What the caller gave cannot be used: data, bounds, shapes, names, options."""


class MissingDependency(CollocodeError, ImportError):
    """An optional package or solver is needed and is not installed."""


class FileError(CollocodeError, OSError):
    """A file is missing, unreadable or not what it claims to be."""
