"""Follow a run from another program: the density of localizations over its frames.

    rtsmlm live                        # in one terminal
    python examples/subscriber.py      # in another, at any time

The stream is read-only. What a batch holds: `rtsmlm.stream.StreamBatch`; all messages of the
stream: `rtsmlm/stream/publisher.py`.
"""

from __future__ import annotations

import sys

from rtsmlm import Subscriber

FRAMES = 50
"""Frames for one line."""


def main(address: str = "tcp://127.0.0.1:5757") -> None:
    """Print one line every 50 frames until the run ends."""
    n_frames = n_rows = 0
    with Subscriber(address, timeout_s=60) as run:
        for batch in run:
            n_frames += batch.n_frames
            n_rows += len(batch.localizations)
            if n_frames >= FRAMES:
                height, width = run.settings["shape"]
                area_um2 = height * width * (run.settings["pixel_nm"] / 1000) ** 2
                density = n_rows / n_frames / area_um2
                print(f"frame {batch.last_frame}: {density:.3f} localizations per frame and µm²")
                n_frames = n_rows = 0
        print(f"the run has ended; batches missed: {run.lost}")


if __name__ == "__main__":
    main(*sys.argv[1:])
