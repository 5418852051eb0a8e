"""UnseenLight: how long light has shone of which no estimate has seen the effect."""

from __future__ import annotations


class UnseenLight:
    """Count from the first light that was not seen; switching it off and on renews nothing.

    Holds no lock; all times on one clock.

    Parameters
    ----------
    limit_s
        Longest time; None for a laser that does not depend on what is seen.
    after_first
        It holds from the first estimate on only.
    """

    def __init__(self, limit_s: float | None, after_first: bool) -> None:
        self.limit_s = limit_s
        self.seen_ns: int | None = None
        """End of the newest exposure that an estimate rests on; None before the first."""
        self._after_first = after_first
        self._lit_ns: int | None = None
        """Since when there was light that was not seen."""
        self._dark_ns: int | None = None
        """Since when it has been dark; None while it is lit."""

    def begin(self) -> None:
        """Forget what was before."""
        self.seen_ns = self._lit_ns = self._dark_ns = None

    def light(self, t_ns: int) -> None:
        """Note that there is light from now on."""
        self._dark_ns = None
        if self._lit_ns is None:
            self._lit_ns = t_ns

    def dark(self, t_ns: int) -> None:
        """Note that there is no light from now on."""
        if self._dark_ns is None:
            self._dark_ns = t_ns

    def see(self, exposed_ns: int) -> None:
        """Note that all light up to the end of an exposure was seen."""
        if self.seen_ns is not None and exposed_ns <= self.seen_ns:
            return
        self.seen_ns = exposed_ns
        if self._lit_ns is None:
            return
        if self._dark_ns is not None and self._dark_ns <= exposed_ns:
            self._lit_ns = None
        else:
            self._lit_ns = max(self._lit_ns, exposed_ns)

    def too_long(self, t_ns: int) -> str | None:
        """Return why it has to go dark, None if it need not.

        Also where it is dark by now: what it did unseen is not known.
        """
        if self.limit_s is None or self._lit_ns is None:
            return None
        if self._after_first and self.seen_ns is None:
            return None
        silent_s = (t_ns - self._lit_ns) / 1e9
        if silent_s <= self.limit_s:
            return None
        return f"nothing was seen for {silent_s:.1f} s (limit {self.limit_s:g} s)"
