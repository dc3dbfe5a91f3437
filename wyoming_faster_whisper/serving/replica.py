"""A replica of a decode server: one model that is always loaded, and others on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from ..engine.recognizer import Recognizer
from ..errors import ModelError
from .configuration import ModelSpec, ReplicaConfig, parse_config
from .open_inference import Reply, UnknownModel
from .slot import LoadedModel, ModelSlot
from .tokens import Tokens


class Replica:
    """The models of a replica; see serving.open_inference.Models. Lives on the event loop.

    Args:
        recognizer: makes the recognizer of a model. Called in a thread.
        on_demand: returns the slot of one of the other models, which it keeps for some time and
            makes with load(). The serving framework decides which ones are kept.
    """

    def __init__(
        self,
        recognizer: Callable[[ModelSpec], Recognizer],
        on_demand: Callable[[str], Awaitable[ModelSlot]],
    ) -> None:
        self._recognizer = recognizer
        self._on_demand = on_demand
        self._config: ReplicaConfig | None = None
        self._slot = ModelSlot(recognizer)
        self._tokens: Tokens | None = None  # None = requests need no token

    async def configure(self, given: object) -> None:
        """Take a configuration; its models serve afterwards. See configuration.py.

        Raises:
            SettingError: the configuration is malformed, or its token_file has no token.
            ServerError: its model cannot be loaded.
            Both leave everything as it was.
        """
        config = parse_config(given)
        tokens = await asyncio.to_thread(Tokens, config.token_file) if config.token_file else None
        await self._slot.update(config.model, max_waiting=config.max_waiting)
        self._config = config
        self._tokens = tokens

    def refusal(self, path: str, headers: Mapping[str, str]) -> Reply | None:
        """Return the answer to a request that must not be served; see Tokens.refusal."""
        return None if self._tokens is None else self._tokens.refusal(path, headers)

    def loaded(self) -> Sequence[LoadedModel]:
        """See serving.open_inference.Models."""
        return [] if self._slot.model is None else [self._slot.model]

    async def find(self, name: str, version: str) -> LoadedModel:
        """See serving.open_inference.Models."""
        config, model = self._config, self._slot.model
        if config is None or model is None:
            raise ModelError("the model is loading")
        if name != model.name:
            if (spec := config.others.get(name)) is None:
                raise UnknownModel(f"there is no model {name}")
            slot = await self._on_demand(name)
            await slot.update(spec, max_waiting=config.max_waiting)
            model = slot.model
            assert model is not None
        if version not in ("", model.version):
            raise UnknownModel(f"model {name} has version {model.version} here, not {version}")
        return model

    def new_slot(self) -> ModelSlot:
        """Return a slot for a model on demand. find() loads the model."""
        return ModelSlot(self._recognizer)

    async def check_health(self) -> None:
        """Check that the model can decode. Changed tokens take effect.

        Raises:
            ServerError: it is lost for good; the replica must be replaced.
        """
        if self._slot.model is not None:
            self._slot.model.check_health()
        if self._tokens is not None:
            await asyncio.to_thread(self._tokens.refresh)
