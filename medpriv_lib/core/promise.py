"""What a technology promises, in words that a table can show."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Promise:
    """`hides` what, from `whom`; `trusts` what has to hold for that; `not_against` what stays open.

    Four plain phrases. Raises `ValueError` for an empty one: a technology that leaves one of them
    out has not been thought through.
    """

    hides: str
    whom: str
    trusts: str
    not_against: str

    def __post_init__(self) -> None:
        """Refuse empty phrases."""
        empty = [one.name for one in fields(self) if not getattr(self, one.name).strip()]
        if empty:
            raise ValueError(f"a promise needs words for {', '.join(empty)}")
