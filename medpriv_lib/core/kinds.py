"""What an argument must be, said by its name: Python's own error would name an attribute."""


def require_kind(value: object, kind: type | tuple[type, ...], name: str, of: str) -> None:
    """Raise `TypeError` where `value`, the argument `name` of the verb `of`, is of another kind."""
    if isinstance(value, kind):
        return
    kinds = kind if isinstance(kind, tuple) else (kind,)
    wanted = " or ".join(one.__name__ for one in kinds)
    raise TypeError(f"{of} needs a {wanted} as its {name}, not {type(value).__name__}")
