"""What a header says of one frame: of the whole object, or in its functional groups."""

from typing import Any

GROUPS = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")


def chosen_frame(dataset: Any) -> tuple[int, int]:
    """Return which frame stands for an object, counted from 0, and how many it has.

    The rule: the frame that RepresentativeFrameNumber names, else the middle one, the earlier of
    two. Raises `ValueError` where the number of frames is no positive number.
    """
    count = int(dataset.get("NumberOfFrames", 1) or 1)
    if count < 1:
        raise ValueError(f"declares {count} frames")
    named = dataset.get("RepresentativeFrameNumber")
    if named is not None and 1 <= int(named) <= count:
        return int(named) - 1, count
    return (count - 1) // 2, count


def item_with(dataset: Any, frame: int, group: str, keyword: str) -> Any | None:
    """Return the part of a header that holds `keyword` for this frame, None where none does.

    Looked at are, in this order, the frame's own functional group, the one that all frames share
    and the object itself (PS3.3, C.7.6.16). `group` is the sequence of the functional group.
    """
    for name in GROUPS:
        groups = dataset.get(name) or []
        at = frame if name == GROUPS[0] else 0
        if at < len(groups):
            found = groups[at].get(group) or []
            if len(found) and keyword in found[0]:
                return found[0]
    return dataset if keyword in dataset else None


def laterality(dataset: Any, frame: int) -> str:
    """Return "L" or "R" by ImageLaterality, Laterality or FrameLaterality, "" where none says so.

    Where they differ, the image's own counts, then the frame's, then the series'.
    """
    framed = item_with(dataset, frame, "FrameAnatomySequence", "FrameLaterality")
    told = (
        dataset.get("ImageLaterality"),
        None if framed is None else framed.get("FrameLaterality"),
        dataset.get("Laterality"),
    )
    for side in told:
        if side in ("L", "R"):
            return str(side)
    return ""
