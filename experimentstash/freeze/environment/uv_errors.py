"""What helps where uv could not make an environment, by the cause that its words tell."""

from __future__ import annotations

import re

from experimentstash.stash import paths

# The first that is found counts: a build that fails for want of a network is no failure of the build.
_CAUSES: dict[str, tuple[str, str]] = {
    "disk": (
        r"no space left on device|disk quota exceeded|os error (?:28|122)\b",
        "make room there, or elsewhere: UV_CACHE_DIR=DIRECTORY for uv's cache (`uv cache prune` makes it smaller), a"
        f" link {paths.PRIVATE} to where there is room for the environments; then: {{sync}}",
    ),
    "certificate": (
        r"invalid peer certificate|certificate verify failed|unknownissuer|self[- ]signed certificate"
        r"|unable to get local issuer|server certificate verification failed",
        "a proxy or an index has a certificate that isn't trusted here: SSL_CERT_FILE=/path/of/its/ca.pem {sync}"
        " (if it is in the system's store: UV_SYSTEM_CERTS=true; for git: GIT_SSL_CAINFO)",
    ),
    "proxy": (
        r"407 proxy authentication|proxy connect|tunnel error|unsuccessful tunnel",
        "the proxy refuses: look at HTTPS_PROXY and HTTP_PROXY (http://USER:PASSWORD@HOST:PORT), then: {sync}",
    ),
    "access": (
        r"401 unauthorized|403 forbidden|could not read username|could not read password|permission denied \(publickey"
        r"|authentication failed|host key verification failed|repository not found",
        "access is refused: `uv auth login INDEX`, UV_INDEX_<NAME>_USERNAME and _PASSWORD, or git's credential helper"
        " or an ssh key for a repository; then: {sync}",
    ),
    "download": (
        r"a managed python download is available for",
        "`uv python install {version}` on a machine with internet, or the path of such a Python as `python_version:` in"
        " {registration}; then: {sync}",
    ),
    "network": (
        r"\bdns error|lookup address information|could(?: not|n't) resolve host|connection refused|could(?: not|n't)"
        r" connect|network (?:was|connectivity is) disabled|network is unreachable|no route to host|timed out"
        r"|connection (?:was )?reset|error sending request|could not read from remote repository|network unreachable",
        "there is no network: make it on a machine with internet (of a cluster: the login node), or give the address of"
        " an index that can be reached (UV_DEFAULT_INDEX) or of a proxy (HTTPS_PROXY): {sync}",
    ),
    "server": (
        r"http status server error|\b(?:429 too many|50[0234] [a-z])",
        "the server has a problem of its own: try again later, or another index (UV_DEFAULT_INDEX): {sync}",
    ),
    "python": (
        r"no interpreter found|no download found for|failed to inspect python|python interpreter not found"
        r"|requires a python download",
        "no such Python is here: `uv python install {version}`, or its path or another version as `python_version:` in"
        " {registration}; then: {sync}",
    ),
    "other python": (
        r"current python version \(|requested interpreter resolved to|does not satisfy python|requires-python"
        r"|incompatible with the project's python requirement",
        "another Python is needed: `python_version:` in {registration}, then: {sync}",
    ),
    "build": (
        r"failed to build|build backend (?:returned|failed)|building .* failed|metadata generation failed",
        "a package can't be built here: above is what it lacks (a compiler, a library, `module load …`, a"
        " package that it imports); or another `python_version:` has it ready made; then: {sync}",
    ),
    "platform": (
        r"no wheels? with|no source distribution|doesn't have a source distribution or wheel|no compatible",
        "nothing of it is for this machine and Python: another of either in {registration}, then: {sync}",
    ),
    "version": (
        r"not found in the package registry|no version of|there (?:is|are) no versions? of|only .* (?:is|are) available"
        r"|not found in the cache|no solution found|not found in the provided package locations",
        "there is no such package or version, or they exclude each other: fix {origin}{registration}, then: {sync}",
    ),
    "permission": (
        r"permission denied|read-only file system|os error (?:13|30)\b",
        "it may not be written there: look at whose it is, then: {sync}",
    ),
    "hash": (
        r"hash mismatch",
        "what the index has isn't what was locked: look at the lock file and the index, then: {sync}",
    ),
}


def is_about_certificates(said: str) -> bool:
    """Tell whether a certificate isn't trusted."""
    return re.search(_CAUSES["certificate"][0], said, re.IGNORECASE) is not None


def is_unanswered(said: str) -> bool:
    """Tell whether no index could be asked."""
    return _cause(said) in ("proxy", "network", "server")


def is_elsewhere(said: str) -> bool:
    """Tell whether what uv has said is about its way to an index, and nothing about packages."""
    return _cause(said) in ("disk", "certificate", "proxy", "access", "network", "server", "permission", None)


def _cause(said: str) -> str | None:
    return next((name for name, (pattern, _) in _CAUSES.items() if _is(pattern, said)), None)


def _is(pattern: str, said: str) -> bool:
    return re.search(pattern, " ".join(said.split()), re.IGNORECASE) is not None


def advice(said: str, *, is_offline: bool, sync: str, registration: str, origin: str, version: str | None) -> str:
    """Return what helps against what uv has said; ``origin`` is the file that the environment is made from, or ""."""
    found = next((hint for pattern, hint in _CAUSES.values() if _is(pattern, said)), None)
    if found is None:
        found = _CAUSES["network"][1] if is_offline else "fix {origin}{registration}, then: {sync}"
    return found.format(
        sync=sync,
        registration=registration,
        origin=f"{origin} or " if origin else "",
        version=version or "VERSION",
    )
