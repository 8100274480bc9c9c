"""Which variables of the environment make a build what it is."""

from __future__ import annotations

from collections.abc import Container, Mapping

from experimentstash.base.patterns import regex
from experimentstash.base.redaction import contains_secret, find_secret, is_secret_variable

# What people set to choose a compiler and its options.
_CHOOSING = regex(
    r"CC|CXX|CPP|FC|F77|F90|LD|AR|NVCC|CUDA_HOME|CUDA_PATH|CUDAARCHS|TORCH_CUDA_ARCH_LIST|MAKEFLAGS|GNUMAKEFLAGS"
    r"|(?:C|CXX|CPP|F|FC|LD|ARFLAGS|NVCC_(?:APPEND|PREPEND)_)FLAGS|CMAKE_\w+|MESON_\w+|CARGO_(?:BUILD|PROFILE|TARGET)_\w+"
    r"|RUSTFLAGS|RUSTC|RUSTUP_TOOLCHAIN|NODE_ENV|NODE_OPTIONS|CPATH|C_INCLUDE_PATH|CPLUS_INCLUDE_PATH|LIBRARY_PATH"
    r"|PKG_CONFIG_PATH|(?:OMPI|MPICH|I_MPI)_(?:CC|CXX|FC|F77|F90)"
)
# What a session has, also where the files of a build name it.
_OF_SESSION = regex(
    r"_|PATH|HOME|USER|LOGNAME|SHELL|SHLVL|PWD|OLDPWD|TERM|COLORTERM|TMP|TEMP|TMPDIR|LANG|LANGUAGE|LC_\w+|LINES|COLUMNS"
    r"|EDITOR|PAGER|DISPLAY|HOSTNAME|MAIL|VIRTUAL_ENV|(?:XDG|SSH|DBUS|SLURM|PBS|EXPERIMENTSTASH|WANDB|PYTEST)_\w+"
)


def counting(environment: Mapping[str, str], named: Container[str]) -> dict[str, str]:
    """Return the variables that choose compilers and their options, and those that a build's files name.

    SecretError if there is a secret in them.
    """
    found = {
        name: value
        for name, value in sorted(environment.items())
        if _CHOOSING.fullmatch(name)
        or (name in named and not _OF_SESSION.fullmatch(name) and not is_secret_variable(name, value))
    }
    if (secret := find_secret(found.values(), environment)) is not None:
        raise contains_secret(secret, "A variable that a build depends on")
    return found
