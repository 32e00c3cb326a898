"""What a site answers where it does not do what it was asked: one line that tells no path."""

from flwr.app import Context, Error, Message
from flwr.clientapp.typing import ClientAppCallable


def discreet(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Turn what a site raises into an error that tells the coordinator no path and no name."""
    try:
        return call_next(message, context)
    except ValueError as error:
        reason = " ".join(str(error).split())[:300]
    except Exception as error:  # whatever it is, its text must not leave
        reason = f"the site failed with {type(error).__name__}; its own log says more"
    return Message(Error(0, reason), reply_to=message)


def unanswered(message: Message, context: Context) -> Message:
    """Raise `ValueError`: nothing at this site answers a message of this kind."""
    raise ValueError(f"this site does not answer {message.metadata.message_type}")
