"""The jobs of a sweep: those that make the same choices share one composition, into which each one's values are put.

Most jobs of a sweep choose the same configs and give some parameters other values. Hydra composes the first of them.
Values never decide what is merged, so for the others its configuration is taken and given their values, as Hydra does
it at the end of a composition. That is the same as composing anew where no override can touch what another one sets:
plain values for different keys, none above another, and no interpolation on the way to them. Whatever isn't so certain
is composed anew.
"""

from __future__ import annotations

import contextlib
import functools
import pickle
import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experimentstash.base.dataclass_light import replace
from experimentstash.base.patterns import regex
from experimentstash.compose.fast.loader import Loader
from experimentstash.compose.fast.shared_composition import KEY, SharedComposition
from experimentstash.compose.hydra_compat import ConfigSearchPath
from experimentstash.compose.nodes import NodePath, pickled

# Compositions that are kept, and those that are kept as bytes (20 KB each): a sweep over experiments may come back to
# each of them for every seed.
_KEPT, _PACKED = 64, 2000
# What Hydra's grammar (https://hydra.cc/docs/1.3/advanced/override_grammar/basic/) reads as a number or a plain word.
_PLAIN = regex(
    r"(?P<key>\+{0,2}[A-Za-z_][\w.-]*)=(?:(?P<number>-?(?:0|[1-9]\d*)(?P<part>\.\d+)?)|(?P<word>[a-z]\w*))", re.ASCII
)
_NO_WORDS = {"true", "false", "null", "inf", "nan"}


class SweepLoader(Loader):
    """Hydra's loader for a sweep."""

    def __init__(self, search_path: ConfigSearchPath) -> None:
        super().__init__(search_path)
        # Whether whoever asks for a job's configuration is done with it before asking for the next one.
        self.is_shared = False
        self._known: OrderedDict[tuple[str | None, ...], SharedComposition] = OrderedDict()
        self._packed: OrderedDict[tuple[str | None, ...], tuple[bytes, dict[str, NodePath]]] = OrderedDict()
        self._master: DictConfig | None = None
        self._parse = functools.lru_cache(maxsize=1000)(_Parser())

    @contextlib.contextmanager
    def one_by_one(self) -> Iterator[None]:
        """Be shared meanwhile: whoever asks for a job's configuration is done with it before the next one."""
        was_shared, self.is_shared = self.is_shared, True
        try:
            yield
        finally:
            self.is_shared = was_shared

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: Sequence[str]) -> DictConfig:
        if not self.is_shared:
            return super().load_sweep_config(master_config, sweep_overrides)
        return self.variation(master_config, sweep_overrides).config

    def variation(self, master_config: DictConfig, sweep_overrides: Sequence[str]) -> SharedComposition:
        """Return the job with these overrides, valid until the next one is asked for. Raises what Hydra raises."""
        if master_config is not self._master:
            self._master = master_config
            self._known.clear()
            self._packed.clear()
        try:
            parsed = [self._parse(line) for line in sweep_overrides]
        except Exception:  # Hydra says it better
            return SharedComposition(super().load_sweep_config(master_config, sweep_overrides))
        are_values = [self._is_value(override) for override in parsed]
        shape = tuple(
            _shape(override) if is_value else override.input_line
            for override, is_value in zip(parsed, are_values, strict=True)
        )
        known = self._known.pop(shape, None) or self._unpacked(shape)
        if known is not None:
            try:
                known.vary(parsed)
                OmegaConf.copy_cache(from_config=master_config, to_config=known.config)
                self._keep(shape, known)
                return known
            except OmegaConfBaseException:
                pass  # a value of the wrong type: Hydra says it better
        made = SharedComposition(super().load_sweep_config(master_config, sweep_overrides))
        settings = [override for override in parsed if not self._is_choice(override)]
        values = [override for override, is_value in zip(parsed, are_values, strict=True) if is_value]
        if not any(override.is_hydra_override() for override in parsed) and made.can_vary(settings, values):
            self._keep(shape, made)
        return made

    def _keep(self, shape: tuple[str | None, ...], variation: SharedComposition) -> None:
        self._known[shape] = variation
        if len(self._known) > _KEPT:
            oldest, least_used = self._known.popitem(last=False)
            if (kept := pickled(least_used.config)) is not None:
                self._packed[oldest] = kept, least_used.values
                if len(self._packed) > _PACKED:
                    self._packed.popitem(last=False)

    def _unpacked(self, shape: tuple[str | None, ...]) -> SharedComposition | None:
        kept, values = self._packed.pop(shape, (None, {}))
        return None if kept is None else SharedComposition(pickle.loads(kept), values)

    def _is_choice(self, override: Override) -> bool:
        return self._memory.group_exists(override.key_or_group) and not isinstance(override.value(), dict)

    def _is_value(self, override: Override) -> bool:
        """Tell whether an override does nothing but give a plain value to a setting of an experiment."""
        value = override.value()
        return (
            not override.is_delete()
            and override.package is None
            and not getattr(override, "is_value_path", False)
            and override.value_type is ValueType.ELEMENT
            and (isinstance(value, (bool, int, float)) or (isinstance(value, str) and "${" not in value != "???"))
            and KEY.fullmatch(override.key_or_group) is not None
            and override.key_or_group.partition(".")[0] not in ("hydra", "tool")
            and not self._memory.group_exists(override.key_or_group)
        )


def _shape(override: Override) -> str:
    """Return what all overrides say alike that may share a composition.

    A text stays beside values that are inside what it chooses; another value takes their place.
    """
    return override.get_key_element() + ("=text" if isinstance(override.value(), str) else "")


class _Parser:
    """Hydra's parser, which is asked once for each key that gets numbers or plain words."""

    def __init__(self) -> None:
        self._parser = OverridesParser.create()
        self._known: dict[str, Override] = {}

    def __call__(self, line: str) -> Override:
        plain = _PLAIN.fullmatch(line)
        if plain is None or (plain["word"] or "").lower() in _NO_WORDS:
            return self._parser.parse_override(line)
        key = plain["key"]
        if key not in self._known:
            self._known[key] = self._parser.parse_override(f"{key}=0")
        number = float if plain["part"] else int
        value = plain["word"] if plain["number"] is None else number(plain["number"])
        return replace(self._known[key], _value=value, input_line=line)
