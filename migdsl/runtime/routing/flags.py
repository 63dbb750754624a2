"""Turns an OpenFeature client into the question that routers ask: what does this flag say for this tenant?"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from migdsl.runtime.routing.errors import RoutingError

_INSTALL = "pip install 'migdsl[routing]' (openfeature-sdk and openfeature-provider-flagd)"
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Flags(Protocol):
    """Answers with a variant's name. Raises anything when it can't: the router then keeps to what it knows."""

    def variant(self, flag: str, tenant: str) -> str: ...


class AsyncFlags(Protocol):
    """The same for asyncio."""

    async def variant_async(self, flag: str, tenant: str) -> str: ...


class NoAnswerError(Exception):
    """The provider gave no variant: it isn't ready, doesn't know the flag, or the flag is switched off."""


class OpenFeature:
    """Asks an OpenFeature client, sync or async. The evaluation context has the tenant's id as targeting key and as the
    attribute `tenant`, as the generated flag files expect it, and `attributes` for files of yours."""

    def __init__(self, client: Any = None, *, attributes: Mapping[str, str] = _NOTHING) -> None:
        """Raises RoutingError where openfeature-sdk is missing. `client` None: the default provider's."""
        self._context = _module("openfeature.evaluation_context").EvaluationContext
        self._client = client if client is not None else _module("openfeature.api").get_client()
        self._attributes = dict(attributes)

    @classmethod
    def flagd_file(cls, path: str | Path, *, poll_seconds: float = 1.0) -> OpenFeature:
        """The flag file itself, read by flagd's own provider in this process, and again whenever it changes.

        Replace the file in one step (write another, rename it): half a file is an error until the next look.
        """
        api, flagd = _module("openfeature.api"), _module("openfeature.contrib.provider.flagd")
        file_mode = _module("openfeature.contrib.provider.flagd.config").ResolverType.FILE
        provider = flagd.FlagdProvider(
            resolver_type=file_mode, offline_flag_source_path=str(path), deadline_ms=int(poll_seconds * 1000)
        )
        domain = f"migdsl:{Path(path).resolve()}"
        api.set_provider_and_wait(provider, domain)
        return cls(api.get_client(domain))

    def variant(self, flag: str, tenant: str) -> str:
        """Raises NoAnswerError, or what the provider raises."""
        return _answer(self._client.get_string_details(flag, "", self._about(tenant)))

    async def variant_async(self, flag: str, tenant: str) -> str:
        """Raises NoAnswerError, or what the provider raises."""
        return _answer(await self._client.get_string_details_async(flag, "", self._about(tenant)))

    def _about(self, tenant: str) -> Any:
        return self._context(tenant, {**self._attributes, "tenant": tenant})


def _answer(details: Any) -> str:
    if details.error_code is not None:
        raise NoAnswerError(str(getattr(details.error_code, "value", details.error_code)))
    if not details.value:
        raise NoAnswerError(str(getattr(details.reason, "value", details.reason)))
    return str(details.value)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise RoutingError(f"reading flags through OpenFeature needs: {_INSTALL}") from None
