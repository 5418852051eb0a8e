"""All that leaves by a socket: publisher, subscriber, history, and the wire format of them.

Never import devices or the pipeline here; no message from a socket changes the run.
One more topic: its name and its message in `wire`, one method of the publisher.
"""

from rtsmlm.stream.subscriber import StreamBatch, Subscriber

__all__ = ["StreamBatch", "Subscriber"]
