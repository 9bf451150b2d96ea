"""Links back to the post an alert is about, by a URL template for each source."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import quote, urlsplit

FALLBACK: Final = "default"
"""Of sources without a template of their own, and of posts whose source is not known."""

_FIELDS: Final = frozenset({"cascade", "source"})


@dataclass(frozen=True, slots=True)
class Links:
    """Templates by source, such as ``https://example.org/posts/{cascade}``.

    >>> Links.read({"weibo": "https://example.org/{source}/{cascade}"}).link("a/b", "weibo")
    'https://example.org/weibo/a%2Fb'
    """

    templates: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, templates: Mapping[str, str]) -> Self:
        """Raises ValueError naming the source whose template cannot be used."""
        for source, template in templates.items():
            try:
                # No conversions or widths: an id stands in a URL as it is, quoted.
                parts = [part[1:] for part in string.Formatter().parse(template) if part[1] is not None]
                named = {name if not (spec or conversion) else None for name, spec, conversion in parts}
                filled = urlsplit(template.format(cascade="c", source="s"))
            except (ValueError, LookupError, AttributeError):
                named, filled = {None}, urlsplit("")
            if not named <= _FIELDS or filled.scheme not in ("http", "https") or not filled.hostname:
                raise ValueError(
                    f"{source}: not an http:// or https:// URL with {{cascade}} (and {{source}}, if need be) in it"
                )
            if "cascade" not in named:
                raise ValueError(f"{source}: {{cascade}} is missing: the place of the post's id")
        return cls(dict(templates))

    def link(self, cascade: str, source: str | None) -> str | None:
        """The post's URL; None where no template fits. Ids are quoted: they may hold any character."""
        template = self.templates.get(source or FALLBACK) or self.templates.get(FALLBACK)
        if template is None:
            return None
        return template.format(cascade=quote(cascade, safe=""), source=quote(source or "", safe=""))
