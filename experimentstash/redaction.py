"""What looks like a secret, so that it never reaches a record, a log or a message."""

from __future__ import annotations

import fnmatch
import functools
import os
import re
from collections.abc import Iterable, Mapping

from experimentstash.errors import SecretError

_SECRET_NAME = re.compile(
    r"(PASSWORD|PASSWD|PASSPHRASE)S?(_|$)|_PWD$|(^|_)(SECRET|SECRETS|TOKEN|CREDENTIALS?|AUTH)(_|$)|(^|_)(API|ACCESS|PRIVATE)_?KEY|_KEY$",
    re.IGNORECASE,
)
_SECRET_FILES = (
    ".env",
    ".env.*",
    "*.pem",
    "*.key",
    ".netrc",
    "_netrc",
    ".pypirc",
    "id_rsa",
    "id_ed25519",
    "credentials*",
)
# Shorter values ("1", "main") would be found everywhere.
_SHORTEST_SECRET = 8


@functools.lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Tell whether an environment variable of this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def is_secret_file(path: str) -> bool:
    """Tell whether a file of this name usually holds a secret."""
    name = os.path.basename(path)
    return any(fnmatch.fnmatch(name, pattern) for pattern in _SECRET_FILES)


def secrets_in(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the values in ``environment`` that are secrets, with their names: {value: name}."""
    named = {name: environment[name] for name in environment if is_secret_name(name)}
    return {value: name for name, value in named.items() if _looks_secret(value)}


def _looks_secret(value: str) -> bool:
    # The path of a key file is no secret.
    return len(value) >= _SHORTEST_SECRET and not os.path.exists(value)


def find_secret(texts: Iterable[str], environment: Mapping[str, str]) -> str | None:
    """Return the name of an environment variable whose secret value occurs in one of ``texts``."""
    secrets = secrets_in(environment)
    if not secrets:
        return None
    return next((name for text in texts for value, name in secrets.items() if value in text), None)


def redact(text: str, environment: Mapping[str, str]) -> str:
    """Return ``text`` with the secret values of ``environment`` replaced by their names."""
    # The longest first: one may contain another.
    for value, name in sorted(secrets_in(environment).items(), key=lambda item: -len(item[0])):
        text = text.replace(value, f"<{name}>")
    return text


def contains_secret(variable: str) -> SecretError:
    """Return the error for a secret's value among what a record keeps."""
    return SecretError(
        f"A parameter or setting contains the value of ${variable}, which would be written into the run's record.",
        f"let the tool read ${variable} from its environment, which it inherits",
    )


def literal_secret(variable: str, where: str) -> SecretError:
    """Return the error for a secret that is written out in the configuration."""
    return SecretError(
        f"{where} gives the tool's variable {variable} a value, and secrets must not be written to disk.",
        f"export it in your shell and write `{variable}: ${{oc.env:{variable}}}`",
    )
