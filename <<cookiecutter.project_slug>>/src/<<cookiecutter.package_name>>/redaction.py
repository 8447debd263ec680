"""Sources without the passwords and keys they carry."""

import re

_PASSWORD = re.compile(r"(://[^:/?#@]*):[^/?#]*@")
_SECRET_PARAMETER = re.compile(
    r"([?&;][^=&;]*(?:pass|pwd|secret|token|key|sig|credential)[^=&;]*=)[^&;#]*", re.IGNORECASE
)


def redact(source: str) -> str:
    """Return `source` without the passwords and keys a URL may carry, fit for records and messages."""
    return _SECRET_PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1:***@", source))
