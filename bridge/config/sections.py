"""The sections of `sources` and `destinations`: one for each connected vendor account.

The shape of a section is the vendor's (`SectionSpec`); what is common to all, and where
their secrets come from, is here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from bridge.config.environment import Environment
from bridge.config.file import Problems
from bridge.config.schema import (
    RENAMED,
    DestinationSchema,
    Schema,
    SourceSchema,
    fields,
)
from bridge.config.settings import (
    DestinationConfig,
    Role,
    SecretSpec,
    SectionSpec,
    SourceConfig,
)
from bridge.config.urls import base_url_fault


class Vendor(Protocol):
    """What the configuration needs to know of an integration."""

    @property
    def source_spec(self) -> SectionSpec | None:
        """The section below `sources`; None where the vendor is no source."""

    @property
    def destination_spec(self) -> SectionSpec | None:
        """The section below `destinations`; None where it is no destination."""


#: Finds a vendor by its kind; None for an unknown one.
FindVendor = Callable[[str], Vendor | None]
#: Group and name of a section.
_Place = tuple[str, str]
_TOKEN = "BRIDGE_INBOUND_TOKEN"  # noqa: S105 - a variable's name
_COMMON = {"sources": SourceSchema, "destinations": DestinationSchema}


@dataclass(slots=True, kw_only=True)
class SectionReader:
    """Reads sections; problems go to `problems` and to the environment's."""

    find: FindVendor
    environment: Environment
    problems: Problems
    roles: tuple[Role, ...]
    #: What each section read so far is declared to be, broken ones included; None for
    #: an unknown vendor.
    specs: dict[_Place, SectionSpec | None] = field(default_factory=dict)
    #: Kinds of the sources read so far, broken ones included.
    source_kinds: list[str] = field(default_factory=list)

    @property
    def variables(self) -> list[str]:
        """The variables that the vendors in use declare."""
        found = []
        for spec in filter(None, self.specs.values()):
            found += [secret.variable for secret in spec.secrets]
            found += [spec.base_url_variable] if spec.base_url_variable else []
        return found

    def sources(self, raw: Any) -> dict[str, SourceConfig]:
        """Read `sources`; without it there is one Voucherify source."""
        found = self._read("sources", raw, "voucherify")
        return {one["name"]: SourceConfig(**one) for one in found}

    def destinations(self, raw: Any) -> dict[str, DestinationConfig]:
        """Read `destinations`; without it there is one Iterable destination."""
        found = self._read("destinations", raw, "iterable")
        return {one["name"]: DestinationConfig(**one) for one in found}

    def _read(self, group: str, raw: Any, default: str) -> list[dict[str, Any]]:
        sections = raw if isinstance(raw, dict) and raw else {default: None}
        found = [
            self._section((group, str(name)), {} if one is None else one)
            for name, one in sections.items()
        ]
        return [one for one in found if one is not None]

    def _spec(self, group: str, kind: Any) -> SectionSpec | None:
        # Modules below a vendor's folder are no vendors.
        is_kind = isinstance(kind, str) and "." not in kind
        vendor = self.find(kind) if is_kind else None
        if vendor is None:
            return None
        return vendor.source_spec if group == "sources" else vendor.destination_spec

    def _section(self, place: _Place, raw: Any) -> dict[str, Any] | None:
        """Read one section as the arguments of its class; None for a broken one."""
        group, name = place
        kind = raw.get("kind", name) if isinstance(raw, dict) else name
        spec = self.specs[place] = self._spec(group, kind)
        if group == "sources":
            self.source_kinds.append(str(kind))
        if spec is None:
            hint = "" if kind != name else "; say its vendor by `kind:`"
            what = group.removesuffix("s")
            self.problems.add(place, f"no vendor `{kind}` can be a {what}{hint}")
            return None
        raw = self.problems.take_renamed(raw, RENAMED[group], place)
        named = raw if isinstance(raw, dict) else {}
        variables, secrets = self._secrets(place, kind, spec, named)
        data = self.problems.load(_schema(group, spec), raw, place)
        if data is None:
            return None
        common = {one: data.pop(one) for one in _COMMON[group]().fields if one in data}
        options = {one: data[one] for one in spec.schema().fields if one in data}
        found = common | {
            "name": name,
            "kind": kind,
            "secrets": secrets,
            "variables": variables,
            "options": options,
            "base_url": self._base_url(place, spec, common.get("base_url"), options),
        }
        if found.get("rate_per_second", 0) is None:
            found["rate_per_second"] = spec.default_rate_per_second
        return found

    def _secrets(
        self, place: _Place, kind: str, spec: SectionSpec, named: Mapping[str, Any]
    ) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
        """Read the secrets, and name the variable of each."""
        variables, secrets = {}, {}
        for one in spec.secrets:
            own = one.variable if place[1] == kind else None
            variable = named.get(one.name, own)
            if variable is not None:
                variables[one.name] = variable = str(variable)
                secrets[one.name] = self._secret(variable, f"{kind}.{one.name}", one)
            elif one.required_for:
                self.problems.add(
                    place,
                    f"`{one.name}:` is needed: it names the environment variable "
                    f"({one.variable} is that of the section named {kind})",
                )
        return variables, secrets

    def _secret(self, variable: str, purpose: str, one: SecretSpec) -> tuple[str, ...]:
        is_inbound = "receive" in one.required_for
        # What only verifies a sender may be any text.
        found = self.environment.secret(
            variable, purpose, is_list=one.is_list, is_sent=not is_inbound
        )
        needed = set(one.required_for) & set(self.roles)
        # An inbound token authenticates senders as well.
        if needed == {"receive"} and self.environment.text(_TOKEN):
            needed = set()
        if needed and not found:
            also = f", nor is {_TOKEN}" if is_inbound else ""
            self.environment.add(variable, f"is not set{also}: {one.purpose}")
        return found

    def _base_url(
        self, place: _Place, spec: SectionSpec, given: str | None, options: Any
    ) -> str:
        """Find the base URL: the variable, the setting, or what the options say."""
        has_kinds_name = self._spec(*place) is spec
        if spec.base_url_variable is not None and has_kinds_name:
            url = self.environment.text(spec.base_url_variable, base_url_fault).strip()
            if url:
                return url.rstrip("/")
        if given is not None:
            fault = base_url_fault(given)
            if fault is not None:
                self.problems.add((*place, "base_url"), fault)
            return given.rstrip("/")
        url = "" if spec.base_url is None else spec.base_url(options)
        if not url and place[0] == "destinations" and "deliver" in self.roles:
            setting, fault = spec.missing_base_url
            self.problems.add((*place, setting), fault)
        return url.rstrip("/")


def _schema(group: str, spec: SectionSpec) -> Schema:
    """Make the schema of a section: the common settings and the vendor's."""
    names: dict[str, Any] = {
        one.name: fields.String(load_default=None) for one in spec.secrets
    }
    made: type[Schema] = type("Section", (_COMMON[group], spec.schema), names)
    return made()
