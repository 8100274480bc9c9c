"""Which files hold secrets, by their names and by what is in them: they have no place in a patch.

The names are those under which programs keep credentials; the content is told by `redaction` and by what is assigned to
a password. A file that is code is looked at more strictly: left out, it makes a run irreproducible.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
from collections.abc import Sequence
from pathlib import Path

from experimentstash.files import kind_at, read_regular
from experimentstash.redaction import is_distinctive, is_placeholder, known

# Bytes. What is larger is data, of which the name alone is looked at.
LARGEST_LOOKED_INTO = 1024 * 1024
_NAMES = (
    # variables, and what shells remember
    ".env .env.* *.env .envrc .secrets .secrets.* .*_history",
    # keys
    "id_rsa id_dsa id_ecdsa id_ed25519 id_ecdsa_sk id_ed25519_sk id_rsa[._-]* id_ecdsa[._-]* id_ed25519[._-]* *_rsa"
    " *_dsa *_ecdsa *_ed25519 *.pem *.key *.p8 *.p12 *.pfx *.pkcs12 *.jks *.keystore *.kdb *.kdbx *.ppk *.keytab"
    " secring.* *.ovpn krb5cc_* .xauthority",
    # logins
    ".netrc _netrc *.netrc .authinfo* .git-credentials .gitcredentials git-credentials .pgpass pgpass.conf .my.cnf"
    " .mylogin.cnf .htpasswd .smbcredentials .dockercfg .dockerconfigjson .s3cfg .boto .wgetrc .curlrc .msmtprc"
    " .fetchmailrc rclone.conf *.rdp .rhosts",
    # package indexes and services
    ".pypirc .npmrc .yarnrc.yml .gem .databrickscfg .terraformrc terraform.rc *.tfstate *.tfstate.* *.tfvars"
    " *.tfvars.json .vault-token .vault_pass* kaggle.json .comet.config .modal.toml .ngrok.yml ngrok.yml auth.json"
    " .openai .anthropic .huggingface .wandb_api_key wandb.key .neptune",
    # Kubernetes
    "kubeconfig kubeconfig.* *.kubeconfig *-kubeconfig kubeconfig-*",
    # by what they are called
    "credentials* .credentials* token tokens .token .tokens *.token stored_tokens *_token *-token .*_token .*-token"
    " passwords .passwords password .password *.passwd passwd .passwd *.secret *.secrets apikey api_key .apikey"
    " .api_key *.apikey *.api_key",
)
_PATTERNS = [pattern for line in _NAMES for pattern in line.split()]
# The same, if the file's ending is one of settings, or of a text.
_SETTINGS = tuple(".json .yaml .yml .toml .ini .cfg .conf .xml .csv .txt .env .properties .enc .dat".split())  # noqa: SIM905
_STEMS = (
    "*credential*",
    "*secret*",
    *("service-account*", "service_account*", "serviceaccount*", "*-sa-key", "adc", "oauth*", "*kubeconfig*"),
    *("*password*", "*passwd*", "token", "*_token", "*-token", "wandb_key", "hf_key"),
    *("api_key*", "api-key*", "apikey*", "*_api_key*", "*-api-key*", "*_apikey*"),
    *("*private_key*", "*private-key*", "*access_key*", "*accesskey*"),
)
# Names like these that hold none: examples, public halves, and the vocabularies of language models.
_HARMLESS = (
    *("*.pub", "*.example", "*.sample", "*.template", "*.dist", "*.tmpl", "*.j2", "*.example.*", "*.sample.*"),
    *("*.template.*", "*_example.*", "*-example.*", "special_tokens*", "added_tokens*", "token.csv"),
)
# What lies in these directories, and in files of these names there.
_FOLDERS = frozenset((".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".kaggle", ".secrets", "secrets"))
_PLACES = ("*.config/gcloud/*", "*.dvc/config.local", "*huggingface/token", "*huggingface/stored_tokens")
_CODE = (
    *(".py", ".pyi", ".ipynb", ".c", ".cc", ".cpp", ".h", ".hpp", ".cu", ".rs", ".go", ".js", ".ts", ".jl", ".r", ".m"),
    *(".java", ".scala", ".lua", ".md", ".rst"),
)

_KEY = (
    r"[\w.-]{0,60}(?:passw(?:or)?d|passphrase|secret|api[_-]?key|auth[_-]?token|access[_-]?token|access[_-]?key"
    r"|private[_-]?key|client[_-]?secret|_auth|_authtoken|_password|bearer|api[_-]?token)[\w]{0,20}"
)
# In code only a text in quotes is a value; in settings the rest of the line is one.
_ASSIGNED_IN_CODE = re.compile(
    rf"(?im)(?:^|[\s{{(,;])['\"]?{_KEY}['\"]?\s*(?::\s*str\s*)?[:=]\s*"
    r"(?P<quote>['\"])(?P<value>[^'\"\s]{8,200})(?P=quote)"
)
_ASSIGNED = re.compile(
    rf"(?im)^[\s\-/:]*(?:(?:export|set|env|arg)\s+)?['\"]?(?P<key>{_KEY}|\S*:_auth\w*)['\"]?\s*[:=]\s*['\"]?"
    r"(?P<value>[^\s'\"#,;]{6,200})"
)
_NETRC = re.compile(r"(?m)^\s*machine\s+\S+(?:\s+login\s+\S+)?\s+password\s+\S+")
_KUBERNETES = re.compile(r"(?m)^\s*(?:client-key-data|token|client-certificate-data)\s*:\s*\S{16,}|^kind:\s*Secret\s*$")
_IN_A_COMMAND = re.compile(
    r"(?:--(?:password|passwd|api[-_]?key|auth[-_]?token|access[-_]?token|secret)[ =]|\bwandb login (?:--relogin )?)"
    r"['\"]?(?P<value>[^\s'\"]{8,200})"
)
# What only says where a value comes from.
_REFERENCE = re.compile(
    r"[\w.]+[(\[].*|\$.*|.*\{.*|.*<.*|~?[./]*/.*|(?:os|self|args|cfg|config|env)\.[\w.]+|\w+\.\w+\.[\w.]+"
)


def is_secret_file(path: str) -> bool:
    """Tell whether a file of this name usually holds a secret."""
    *folders, name = path.lower().split("/")
    stem, ending = os.path.splitext(name)
    if _is_like(name, _HARMLESS):
        return False
    if ending in _CODE:
        return name.startswith("credentials")
    return (
        _is_like(name, _PATTERNS)
        or (ending in _SETTINGS and _is_like(stem, _STEMS))
        or not _FOLDERS.isdisjoint(folders)
        or _is_like(path.lower(), _PLACES)
    )


def _is_like(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def has_secret(text: str, name: str) -> bool:
    """Tell whether there is a secret in the text, or in a part, of a file of this name."""
    if known(os.environ).find(text) is not None or _NETRC.search(text) or _KUBERNETES.search(text):
        return True
    if any(_is_secret(match["value"]) for each in (_ASSIGNED_IN_CODE, _IN_A_COMMAND) for match in each.finditer(text)):
        return True
    is_code = name.lower().endswith(_CODE)
    return not is_code and any(_is_secret(each["value"], each["key"]) for each in _ASSIGNED.finditer(text))


def _is_secret(value: str, key: str = "") -> bool:
    """Tell whether what is assigned is a secret; of settings, a password may be any word."""
    is_password = "pass" in key.lower() and not is_placeholder(value)
    return (is_password or is_distinctive(value)) and not _REFERENCE.fullmatch(value)


def holds_secret(root: Path, path: str) -> bool:
    """Tell whether the file at ``path`` below ``root`` looks like a secret, by its name or by what is in it."""
    if is_secret_file(path):
        return True
    place = root / path
    if kind_at(place) != "a file":
        return False
    content = b""
    with contextlib.suppress(OSError):
        content = read_regular(place, LARGEST_LOOKED_INTO)
    return any(has_secret(text, path) for text in _as_text(content))


def _as_text(content: bytes) -> list[str]:
    """Return what may be the text of a file, in whichever encoding Windows has written it."""
    found = [content.decode("utf-8", "surrogateescape")]
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        found.append(content.decode("utf-16", "replace"))
    return found
