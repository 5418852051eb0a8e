"""Device adapters: one file per way to get frames; the only folder that knows vendors.

A camera is a plain class with the shape of `rtsmlm.protocols.Camera`; nothing is inherited.
Cameras that Micro-Manager knows need no adapter: `micromanager.py` drives them all. For any
other, this is all there is to write, here for an imagined SDK::

    from rtsmlm.calibration import StatedCalibration
    from rtsmlm.errors import CameraStalledError, DeviceError
    from rtsmlm.frames import CameraFrame
    from rtsmlm.realtime.clock import now_ns

    class MyCamera:
        def __init__(self, handle, stall_timeout_s):
            self._handle, self._timeout_s = handle, stall_timeout_s
            self.name = f"My camera {handle.serial}"
            self.shape = (handle.rows, handle.columns)
            self.exposure_ms = handle.exposure_ms
            self.stated = StatedCalibration(offset_adu=100.0, e_per_adu=0.46)
            self.core = None  # only cameras of Micro-Manager have one

        def describe(self):
            return {"camera": self.name, "firmware": self._handle.firmware}

        def stream(self, stop, n_frames=None):
            first = None
            self._handle.start()
            try:
                while n_frames is None or n_frames > 0:
                    if stop.is_set():
                        self._handle.stop()  # what it has delivered is still taken
                    image = self._handle.next_image(timeout_s=self._timeout_s)
                    if image is None and stop.is_set():
                        return
                    if image is None:
                        raise CameraStalledError(
                            f"{self.name} gave no frame for {self._timeout_s} s")
                    first = image.number if first is None else first
                    yield CameraFrame(image.pixels, image.number - first, now_ns())
                    n_frames = None if n_frames is None else n_frames - 1
            finally:
                self._handle.stop()

        def close(self):
            self._handle.close()

    def open_camera(settings):
        try:
            handle = my_sdk.open(exposure_ms=settings.acquisition.exposure_ms)
        except OSError as error:
            raise DeviceError(f"My camera did not open: {error}") from error
        return MyCamera(handle, settings.acquisition.stall_timeout_s)

Then name the factory in your package's `pyproject.toml` and choose it with
`camera.driver = "mine"`::

    [project.entry-points."rtsmlm.camera"]
    mine = "my_lab.my_camera:open_camera"

What counts: pixels are uint16 and may be reused for the next frame; the number is the
camera's own, from 0, and a gap means a lost frame; nothing is overwritten in silence, a full
buffer is a `CameraOverflowError`; vendor errors become `DeviceError` with `from error`.
"""
