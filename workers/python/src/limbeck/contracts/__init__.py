"""Wire types shared with the control plane. The models are generated; the parser is here."""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from limbeck.contracts.generated import *  # noqa: F403
from limbeck.contracts.generated import WireTypes

StageSpec = WireTypes.model_fields["stage_spec"].annotation
# The type is made at run time: the union of all specs, as it is generated.
_STAGE_SPEC: TypeAdapter[Any] = TypeAdapter(
    Annotated[StageSpec, Field(discriminator="kind")]  # pyright: ignore[reportInvalidTypeForm, reportArgumentType]
)


def parse_stage_spec(value: object) -> Any:
    """The stage spec of a decoded JSON value; `kind` chooses the model.

    Raises:
        pydantic.ValidationError: an unknown kind or key, a wrong type or a value out of range.
    """
    return _STAGE_SPEC.validate_python(value)
