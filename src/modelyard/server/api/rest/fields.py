"""What protobuf's releases name differently."""

from __future__ import annotations

from google.protobuf.descriptor import FieldDescriptor


def is_repeated(field: FieldDescriptor) -> bool:
    """Is it a list? (`label`, until protobuf 6 brought a property and began to warn of the other.)"""
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    return bool(getattr(field, "label") == FieldDescriptor.LABEL_REPEATED)  # noqa: B009  gone from the newest stubs


def is_well_known(field: FieldDescriptor) -> bool:
    """Is it a message that JSON writes in a way of its own: Struct, Timestamp, Duration, wrappers?"""
    below = field.message_type
    return below is not None and below.full_name.startswith("google.protobuf.")


def is_map(field: FieldDescriptor) -> bool:
    """Is it a map?"""
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)
